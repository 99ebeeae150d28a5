import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Page } from '@/shared/ui/Page';
import { answerWithPasskey, request, hasPasskeys, isSignedInAlready, pendingFlow, type Answer } from './allauth';
import { AuthForm } from './AuthForm';
import { useSwitchViewer } from './useSwitchViewer';

/** The second step of two-step sign-in. */
export function CodePage() {
  const { t } = useTranslation('account');
  const switchViewer = useSwitchViewer();
  const [note, setNote] = useState('');
  const settle = (answer: Answer): boolean => {
    if (answer.status === 200) switchViewer('/');
    // There is no pending sign-in: it expired, or the page was opened directly.
    else if (answer.status === 401 && pendingFlow(answer) !== 'mfa_authenticate') switchViewer('/account/sign-in');
    else if (isSignedInAlready(answer)) switchViewer('/');
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
          onSubmit={(values) => request('POST', '/auth/2fa/authenticate', values)}
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
