import Link from '@mui/material/Link';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { Link as RouterLink, useParams } from '@/shared/lib/router';
import { Page } from '@/shared/ui/Page';
import { Message } from '@/shared/ui/StateView';
import { toastShown } from '@/shared/ui/toasts';
import { request } from './allauth';
import { AuthForm } from './AuthForm';
import { useSwitchViewer } from './useSwitchViewer';

export function ResetRequestPage() {
  const { t } = useTranslation('account');
  const [sentTo, setSentTo] = useState<string | null>(null);
  return (
    <Page title={t('reset.title')} lead={sentTo ? undefined : t('reset.lead')} width="sm" hideTitle={sentTo !== null}>
      {sentTo !== null ? (
        <Message role="status" title={t('reset.sent')} hint={t('reset.sentHint', { email: sentTo })} />
      ) : (
        <AuthForm
          fields={[{ name: 'email', label: t('field.email'), type: 'email', autoComplete: 'username' }]}
          submit={t('reset.submit')}
          onSubmit={(values) => request('POST', '/auth/password/request', values)}
          onAnswer={(answer, values) => {
            if (answer.status !== 200) return false;
            setSentTo(values.email ?? '');
            return true;
          }}
        />
      )}
    </Page>
  );
}

export function ResetPage() {
  const { t } = useTranslation('account');
  const { key = '' } = useParams();
  const switchViewer = useSwitchViewer();
  const dispatch = useDispatch();
  return (
    <Page title={t('reset.newTitle')} width="sm">
      <AuthForm
        fields={[{ name: 'password', label: t('field.newPassword'), type: 'password', autoComplete: 'new-password', hint: t('field.passwordHint') }]}
        submit={t('reset.save')}
        onSubmit={(values) => request('POST', '/auth/password/reset', { ...values, key })}
        onAnswer={(answer) => {
          // 401: the password was changed; sign in with it now.
          if (answer.status === 200) switchViewer('/');
          else if (answer.status === 401) {
            switchViewer('/account/sign-in');
            dispatch(toastShown({ tone: 'info', text: t('reset.keys') }));
          }
          else return false;
          return true;
        }}
      >
        <Link component={RouterLink} to="/account/password/reset">
          {t('reset.again')}
        </Link>
      </AuthForm>
    </Page>
  );
}
