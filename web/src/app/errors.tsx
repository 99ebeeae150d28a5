import Button from '@mui/material/Button';
import { useEffect, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';

/** Shown when a page throws. A reload also helps after a release, when old chunks are gone from the server. */
export function Crashed() {
  const { t } = useTranslation();
  // The page's code could not be fetched. Reload when the connection is back; reloading earlier would lose the app.
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
