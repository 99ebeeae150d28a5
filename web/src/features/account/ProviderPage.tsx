import Button from '@mui/material/Button';
import { useEffect, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link, useNavigate, useSearchParams } from '@/shared/lib/router';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';
import { request, pendingFlow } from './allauth';
import { useSwitchViewer } from './useSwitchViewer';

/** The page that sign-in providers redirect back to. */
export function ProviderPage() {
  const { t } = useTranslation('account');
  const [address] = useSearchParams();
  const navigate = useNavigate();
  const switchViewer = useSwitchViewer();
  const [hasFailed, setFailed] = useState(address.has('error'));
  const [isUnverified, setUnverified] = useState(false);
  useEffect(() => {
    if (address.has('error')) return;
    void request('GET', '/auth/session').then((answer) => {
      if (answer.status === 200) switchViewer('/');
      else if (pendingFlow(answer) === 'mfa_authenticate') navigate('/account/code', { replace: true });
      else if (pendingFlow(answer) === 'verify_email') setUnverified(true);
      else setFailed(true);
    });
  }, [address, switchViewer, navigate]);
  return (
    <Page title={t('provider.title')} width="sm" hideTitle>
      {hasFailed ? (
        <Message role="alert" title={t('provider.failed')} hint={t('provider.failedHint')}>
          <Button component={Link} to="/account/sign-in" variant="contained">
            {t('signIn.title')}
          </Button>
        </Message>
      ) : isUnverified ? (
        <Message role="status" title={t('signUp.sent')} hint={t('provider.unverified')}>
          <Button component={Link} to="/account/sign-in">
            {t('signIn.title')}
          </Button>
        </Message>
      ) : (
        <Message role="status" title={t('provider.busy')} />
      )}
    </Page>
  );
}
