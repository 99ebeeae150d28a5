import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';
import { answerWithPasskey, ask, hasPasskeys } from './allauth';
import { AuthForm } from './AuthForm';
import { useEntered } from './entered';

/** The second step of signing in. */
export function CodePage() {
  const { t } = useTranslation('account');
  const entered = useEntered();
  const passkey = async () => {
    const answer = await answerWithPasskey('/auth/2fa/authenticate');
    if (answer?.status === 200) entered('/');
  };
  return (
    <Page title={t('code.title')} lead={t('code.lead')} width="sm">
      <Stack spacing={3}>
        <AuthForm
          fields={[{ name: 'code', label: t('field.code'), autoComplete: 'one-time-code' }]}
          submit={t('signIn.submit')}
          onSubmit={(values) => ask('POST', '/auth/2fa/authenticate', values)}
          onAnswer={(answer) => {
            if (answer.status !== 200) return false;
            entered('/');
            return true;
          }}
        />
        {hasPasskeys ? (
          <Button variant="outlined" onClick={() => void passkey()}>
            {t('passkey.signIn')}
          </Button>
        ) : null}
      </Stack>
    </Page>
  );
}
