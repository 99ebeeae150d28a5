import Button from '@mui/material/Button';
import { useEffect, useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';

/** A page threw. A reload also cures what a new release broke: code that is no longer on the server. */
export function Crashed() {
  const { t } = useTranslation();
  // Its code was out of reach: it comes when the connection does. A reload before that would lose this page, too.
  const [isOffline] = useState(() => navigator.onLine === false);
  useEffect(() => {
    if (!isOffline) return undefined;
    const reload = () => location.reload();
    addEventListener('online', reload);
    return () => removeEventListener('online', reload);
  }, [isOffline]);
  if (isOffline) return <Message role="alert" title={t('state.offline')} hint={t('state.offlineHint')} />;
  return (
    <Message role="alert" title={t('state.crashed')} hint={t('state.crashedHint')}>
      <Button variant="contained" onClick={() => location.reload()}>
        {t('state.reload')}
      </Button>
    </Message>
  );
}

export function NotFound() {
  const { t } = useTranslation();
  return (
    <Page title={t('state.notFound')} lead={t('state.notFoundHint')} width="md">
      <Button component={Link} to="/" variant="outlined">
        {t('state.home')}
      </Button>
    </Page>
  );
}
