import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link, useParams } from '@/shared/lib/router';
import { useViewer } from '@/shared/api/viewer';
import { useOnce } from '@/shared/lib/useOnce';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';
import { request } from './allauth';
import { useSwitchViewer } from './useSwitchViewer';

/** The target of the link in the mail. It asks for a click, because mail scanners follow links, too. */
export function VerifyPage() {
  const { t } = useTranslation('account');
  const { key = '' } = useParams();
  const switchViewer = useSwitchViewer();
  const viewer = useViewer();
  const [state, setState] = useState<'asking' | 'offline' | 'tooMany' | 'failed' | 'signInNext'>('asking');
  const confirm = useOnce(async () => {
    const answer = await request('POST', '/auth/email/verify', { key });
    if (answer.status === 200) switchViewer('/');
    else if (answer.status === 401) setState('signInNext');
    else if (answer.status === 0) setState('offline');
    else if (answer.status === 429) setState('tooMany');
    else setState('failed');
  });
  return (
    <Page title={t('verify.title')} width="sm" hideTitle>
      {state === 'failed' ? (
        <Message role="alert" title={t('verify.failed')} hint={t(viewer?.isSignedIn ? 'verify.failedSignedIn' : 'verify.failedHint')}>
          <Button component={Link} to={viewer?.isSignedIn ? '/account' : '/account/sign-in'} variant="contained">
            {t(viewer?.isSignedIn ? 'title' : 'signIn.title')}
          </Button>
        </Message>
      ) : state === 'signInNext' ? (
        <Message role="status" title={t('verify.done')} hint={t('verify.signIn')}>
          <Button component={Link} to="/account/sign-in" variant="contained">
            {t('signIn.title')}
          </Button>
        </Message>
      ) : (
        <Message title={t('verify.title')} hint={t('verify.hint')}>
          <Button variant="contained" size="large" onClick={confirm}>
            {t('verify.submit')}
          </Button>
          {state === 'asking' ? null : (
            <Alert severity="error" role="alert">
              {t(`error.${state}`)}
            </Alert>
          )}
        </Message>
      )}
    </Page>
  );
}
