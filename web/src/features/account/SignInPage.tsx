import Button from '@mui/material/Button';
import Divider from '@mui/material/Divider';
import Link from '@mui/material/Link';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link as RouterLink, useNavigate } from '@/shared/lib/router';
import { Page } from '@/shared/ui/Page';
import { answerWithPasskey, request, hasPasskeys, isSignedInAlready, pendingFlow, type Answer } from './allauth';
import { AuthForm } from './AuthForm';
import { useSwitchViewer } from './useSwitchViewer';
import { Providers } from './Providers';

export function SignInPage() {
  const { t } = useTranslation('account');
  const switchViewer = useSwitchViewer();
  const navigate = useNavigate();
  const [note, setNote] = useState('');
  const settle = (answer: Answer): boolean => {
    if (answer.status === 200 || isSignedInAlready(answer)) switchViewer('/');
    else if (pendingFlow(answer) === 'mfa_authenticate') navigate('/account/code');
    else if (pendingFlow(answer) === 'verify_email') setNote(t('signUp.check'));
    else return false;
    return true;
  };
  const passkey = async () => {
    const answer = await answerWithPasskey('/auth/webauthn/login');
    if (!answer || !settle(answer)) setNote(t('passkey.failed'));
  };
  return (
    <Page title={t('signIn.title')} lead={t('signIn.lead')} width="sm">
      <Stack spacing={3}>
        <AuthForm
          fields={[
            { name: 'email', label: t('field.email'), type: 'email', autoComplete: 'username' },
            { name: 'password', label: t('field.password'), type: 'password', autoComplete: 'current-password' },
          ]}
          submit={t('signIn.submit')}
          onSubmit={(values) => request('POST', '/auth/login', values)}
          onAnswer={settle}
        >
          {note ? <Typography role="status">{note}</Typography> : null}
        </AuthForm>
        <Stack direction="row" useFlexGap spacing={3} sx={{ flexWrap: 'wrap' }}>
          <Link component={RouterLink} to="/account/password/reset">
            {t('signIn.forgot')}
          </Link>
          <Link component={RouterLink} to="/account/sign-up">
            {t('signIn.none')}
          </Link>
        </Stack>
        <Divider>{t('or')}</Divider>
        {hasPasskeys ? (
          <Button variant="outlined" size="large" onClick={() => void passkey()}>
            {t('passkey.signIn')}
          </Button>
        ) : null}
        <Providers />
      </Stack>
    </Page>
  );
}
