import Link from '@mui/material/Link';
import Stack from '@mui/material/Stack';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link as RouterLink } from '@/shared/lib/router';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';
import { request, isSignedInAlready, pendingFlow } from './allauth';
import { AuthForm } from './AuthForm';
import { useSwitchViewer } from './useSwitchViewer';
import { Providers } from './Providers';

export function SignUpPage() {
  const { t } = useTranslation('account');
  const switchViewer = useSwitchViewer();
  const [sentTo, setSentTo] = useState<string | null>(null);
  if (sentTo !== null) {
    return (
      <Page title={t('signUp.title')} width="sm" hideTitle>
        <Message role="status" title={t('signUp.sent')} hint={t('signUp.sentHint', { email: sentTo })} />
      </Page>
    );
  }
  return (
    <Page title={t('signUp.title')} lead={t('signUp.lead')} width="sm">
      <Stack spacing={3}>
        <AuthForm
          fields={[
            { name: 'email', label: t('field.email'), type: 'email', autoComplete: 'email' },
            { name: 'password', label: t('field.newPassword'), type: 'password', autoComplete: 'new-password', hint: t('field.passwordHint') },
          ]}
          submit={t('signUp.submit')}
          onSubmit={(values) => request('POST', '/auth/signup', values)}
          onAnswer={(answer, values) => {
            if (answer.status === 200 || isSignedInAlready(answer)) switchViewer('/');
            else if (pendingFlow(answer) === 'verify_email') setSentTo(values.email ?? '');
            else return false;
            return true;
          }}
        />
        <Link component={RouterLink} to="/account/sign-in">
          {t('signUp.already')}
        </Link>
        <Providers />
      </Stack>
    </Page>
  );
}
