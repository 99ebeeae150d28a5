import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import { useGetMeQuery } from '@/shared/api/generated';
import { useViewer } from '@/shared/api/viewer';
import { Page } from '@/shared/ui/Page';
import { Message, QueryView } from '@/shared/ui/StateView';
import { request } from './allauth';
import { DataSection } from './DataSection';
import { useSwitchViewer } from './useSwitchViewer';
import { KeysSection } from './KeysSection';
import { useRefusalToast } from './errorToasts';
import { SecureProvider } from './Secure';
import { SecuritySection } from './SecuritySection';
import { SessionsSection } from './SessionsSection';
import { WebhooksSection } from './WebhooksSection';

export default function SettingsPage() {
  const { t } = useTranslation('account');
  const viewer = useViewer();
  const switchViewer = useSwitchViewer();
  const showRefusal = useRefusalToast();
  const me = useGetMeQuery({});
  if (viewer && !viewer.isSignedIn) {
    return (
      <Page title={t('title')} width="md" hideTitle>
        <Message title={t('anonymous')} hint={t('anonymousHint')}>
          <Button component={Link} to="/account/sign-up" variant="contained">
            {t('signUp.title')}
          </Button>
          <Button component={Link} to="/account/sign-in">
            {t('signIn.title')}
          </Button>
        </Message>
      </Page>
    );
  }
  const signOut = async () => {
    const answer = await request('DELETE', '/auth/session');
    // 401 means signed out. Without an answer the session is still open: do not pretend otherwise on a shared computer.
    if (answer.status === 200 || answer.status === 401) switchViewer('/');
    else showRefusal(answer);
  };
  return (
    <Page
      title={t('title')}
      lead={viewer?.email ?? ' '}
      width="md"
      actions={
        <Button variant="outlined" onClick={() => void signOut()}>
          {t('signOut')}
        </Button>
      }
    >
      <SecureProvider>
        <QueryView query={me} loading={<Skeleton variant="rounded" height={480} />}>
          {(data) => (
            <>
              <SecuritySection />
              <SessionsSection />
              <KeysSection />
              <WebhooksSection />
              <DataSection me={data} />
            </>
          )}
        </QueryView>
      </SecureProvider>
    </Page>
  );
}
