import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';
import { answerWithPasskey, ask, hasPasskeys, isSignedInAlready, pendingFlow, type Answer } from './allauth';
import { AuthForm } from './AuthForm';
import { useEntered } from './entered';

/** The second step of signing in. */
export function CodePage() {
  const { t } = useTranslation('account');
  const entered = useEntered();
  const [note, setNote] = useState('');
  const settle = (answer: Answer): boolean => {
    if (answer.status === 200) entered('/');
    // Nobody is about to sign in here: it took too long, or the page was opened by itself.
    else if (answer.status === 401 && pendingFlow(answer) !== 'mfa_authenticate') entered('/account/sign-in');
    else if (isSignedInAlready(answer)) entered('/');
    else return false;
    return true;
  };
  const passkey = async () => {
    const answer = await answerWithPasskey('/auth/2fa/authenticate');
    if (!answer || !settle(answer)) setNote(t('passkey.failed'));
  };
  return (
    <Page title={t('code.title')} lead={t('code.lead')} width="sm">
      <Stack spacing={3}>
        <AuthForm
          fields={[{ name: 'code', label: t('field.code'), autoComplete: 'one-time-code' }]}
          submit={t('signIn.submit')}
          onSubmit={(values) => ask('POST', '/auth/2fa/authenticate', values)}
          onAnswer={settle}
        >
          {note ? <Typography role="status">{note}</Typography> : null}
        </AuthForm>
        {hasPasskeys ? (
          <Button variant="outlined" onClick={() => void passkey()}>
            {t('passkey.signIn')}
          </Button>
        ) : null}
      </Stack>
    </Page>
  );
}
