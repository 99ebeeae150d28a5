import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { QRCodeSVG } from 'qrcode.react';
import { useCallback, useEffect, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useFormats } from '@/shared/i18n/format';
import { toastShown } from '@/shared/ui/toasts';
import { request, createPasskey, hasPasskeys, hasPassword } from './allauth';
import { AuthForm } from './AuthForm';
import { useRefusalToast } from './errorToasts';
import { KeysOffer } from './KeysOffer';
import { RemoveButton } from './RemoveButton';
import { useSecureRequest } from './Secure';
import { Section } from './Section';

interface Authenticator {
  id?: number;
  type: 'totp' | 'recovery_codes' | 'webauthn';
  name?: string;
  created_at: number;
  unused_code_count?: number;
}

/** Password, authenticator app, passkeys, and recovery codes. */
export function SecuritySection() {
  const { t } = useTranslation('account');
  const [authenticators, setAuthenticators] = useState<Authenticator[] | null>(null);
  const [ownsPassword, setOwnsPassword] = useState(true);
  const load = useCallback(() => {
    void request<Authenticator[]>('GET', '/account/authenticators').then((answer) => {
      if (answer.status === 200) setAuthenticators(answer.data);
    });
    void hasPassword().then((has) => {
      if (has !== undefined) setOwnsPassword(has);
    });
  }, []);
  useEffect(load, [load]);
  const of = (type: Authenticator['type']) => authenticators?.filter((each) => each.type === type) ?? [];
  return (
    <Section title={t('security.title')}>
      <Stack spacing={4}>
        <PasswordPart hasPassword={ownsPassword} onChange={load} />
        <TotpPart isOn={of('totp').length > 0} onChange={load} />
        {of('recovery_codes').length > 0 ? <RecoveryPart left={of('recovery_codes')[0]?.unused_code_count ?? 0} onChange={load} /> : null}
        {hasPasskeys ? <PasskeyPart passkeys={of('webauthn')} onChange={load} /> : null}
      </Stack>
    </Section>
  );
}

/** Change the password, or set one for an account created through a sign-in provider. */
function PasswordPart({ hasPassword, onChange }: { hasPassword: boolean; onChange: () => void }) {
  const { t } = useTranslation('account');
  const secure = useSecureRequest();
  const dispatch = useDispatch();
  const [isOpen, setOpen] = useState(false);
  const [isChanged, setChanged] = useState(false);
  return (
    <Box>
      <Button variant="outlined" aria-expanded={isOpen} onClick={() => setOpen(!isOpen)}>
        {t(hasPassword ? 'security.password' : 'security.firstPassword')}
      </Button>
      {isOpen ? (
        <Box sx={{ mt: 2, maxWidth: 420 }}>
          <AuthForm
            fields={[
              ...(hasPassword
                ? [{ name: 'current_password', label: t('field.password'), type: 'password', autoComplete: 'current-password' } as const]
                : []),
              { name: 'new_password', label: t('field.newPassword'), type: 'password', autoComplete: 'new-password', hint: t('field.passwordHint') },
            ]}
            submit={t('reset.save')}
            onSubmit={(values) => secure('POST', '/account/password/change', values)}
            onAnswer={(answer) => {
              if (answer.status !== 200) return false;
              setOpen(false);
              setChanged(true);
              onChange();
              dispatch(toastShown({ tone: 'success', text: t('security.passwordDone') }));
              return true;
            }}
          />
        </Box>
      ) : null}
      {isChanged ? <KeysOffer /> : null}
    </Box>
  );
}

function TotpPart({ isOn, onChange }: { isOn: boolean; onChange: () => void }) {
  const { t } = useTranslation('account');
  const secure = useSecureRequest();
  const dispatch = useDispatch();
  const showRefusal = useRefusalToast();
  const [secret, setSecret] = useState<{ secret: string; url: string } | null>(null);
  const begin = async () => {
    const answer = await secure('GET', '/account/authenticators/totp');
    const meta = answer.meta as { secret?: string; totp_url?: string };
    if (meta.secret) setSecret({ secret: meta.secret, url: meta.totp_url ?? '' });
    else if (answer.status === 200) onChange(); // it was turned on in another session
    else showRefusal(answer);
  };
  const end = async () => {
    const answer = await secure('DELETE', '/account/authenticators/totp');
    if (answer.status === 200) dispatch(toastShown({ tone: 'info', text: t('totp.off') }));
    else showRefusal(answer);
    onChange();
  };
  return (
    <Box>
      <Typography variant="h3" gutterBottom>
        {t('totp.title')}
      </Typography>
      <Typography color="textSecondary" sx={{ mb: 1.5 }}>
        {t(isOn ? 'totp.on' : 'totp.hint')}
      </Typography>
      {isOn ? (
        <RemoveButton
          label={t('totp.end')}
          question={t('totp.endQuestion')}
          consequence={t('totp.endConsequence')}
          onConfirm={() => void end()}
        />
      ) : secret ? (
        <Stack spacing={2} sx={{ maxWidth: 420 }}>
          {/* Always dark on light: some cameras cannot read inverted QR codes. */}
          <Box sx={{ alignSelf: 'flex-start', lineHeight: 0, bgcolor: '#fff', border: 1, borderColor: 'divider', borderRadius: '14px' }}>
            <QRCodeSVG value={secret.url} size={200} marginSize={4} title={t('totp.qr')} />
          </Box>
          <TextField label={t('totp.secret')} value={secret.secret} slotProps={{ htmlInput: { readOnly: true } }} helperText={t('totp.secretHint')} />
          <Button component="a" href={secret.url} variant="text" sx={{ alignSelf: 'flex-start' }}>
            {t('totp.open')}
          </Button>
          <AuthForm
            fields={[{ name: 'code', label: t('field.code'), autoComplete: 'one-time-code', inputMode: 'numeric' }]}
            submit={t('totp.submit')}
            onSubmit={(values) => secure('POST', '/account/authenticators/totp', values)}
            onAnswer={(answer) => {
              if (answer.status !== 200) return false;
              setSecret(null);
              onChange();
              return true;
            }}
          />
        </Stack>
      ) : (
        <Button variant="outlined" onClick={() => void begin()}>
          {t('totp.begin')}
        </Button>
      )}
    </Box>
  );
}

function RecoveryPart({ left, onChange }: { left: number; onChange: () => void }) {
  const { t } = useTranslation('account');
  const secure = useSecureRequest();
  const showRefusal = useRefusalToast();
  const [codes, setCodes] = useState<string[] | null>(null);
  const show = async (method: 'GET' | 'POST') => {
    const answer = await secure<{ unused_codes?: string[] }>(method, '/account/authenticators/recovery-codes', method === 'POST' ? {} : undefined);
    if (answer.status !== 200) return showRefusal(answer);
    setCodes(answer.data.unused_codes ?? []);
    if (method === 'POST') onChange();
  };
  return (
    <Box>
      <Typography variant="h3" gutterBottom>
        {t('recovery.title')}
      </Typography>
      <Typography color="textSecondary" sx={{ mb: 1.5 }}>
        {t('recovery.hint', { count: left })}
      </Typography>
      {codes ? (
        <Alert severity="warning" icon={false} sx={{ mb: 1.5 }}>
          <Box component="ul" sx={{ listStyle: 'none', p: 0, m: 0, columns: 2, fontFamily: 'monospace' }}>
            {codes.map((code) => (
              <li key={code}>{code}</li>
            ))}
          </Box>
        </Alert>
      ) : null}
      <Stack direction="row" spacing={1}>
        <Button variant="outlined" onClick={() => void show('GET')}>
          {t('recovery.show')}
        </Button>
        <Button onClick={() => void show('POST')}>{t('recovery.renew')}</Button>
      </Stack>
    </Box>
  );
}

function PasskeyPart({ passkeys, onChange }: { passkeys: Authenticator[]; onChange: () => void }) {
  const { t } = useTranslation('account');
  const formats = useFormats();
  const showRefusal = useRefusalToast();
  const secure = useSecureRequest();
  const dispatch = useDispatch();
  const add = async () => {
    // Passwordless: a discoverable credential, which is enough to sign in on its own.
    const options = await secure('GET', '/account/authenticators/webauthn?passwordless');
    if (options.status !== 200) return showRefusal(options);
    const credential = await createPasskey(options.data as unknown as Parameters<typeof createPasskey>[0]);
    const answer = credential ? await request('POST', '/account/authenticators/webauthn', { name: t('passkey.name'), passwordless: true, credential }) : null;
    if (answer?.status !== 200) dispatch(toastShown({ tone: 'error', text: t('passkey.failed') }));
    onChange();
  };
  const remove = async (id: number) => {
    const answer = await secure('DELETE', '/account/authenticators/webauthn', { authenticators: [id] });
    if (answer.status !== 200) showRefusal(answer);
    onChange();
  };
  return (
    <Box>
      <Typography variant="h3" gutterBottom>
        {t('passkey.title')}
      </Typography>
      <Typography color="textSecondary" sx={{ mb: 1.5 }}>
        {t('passkey.hint')}
      </Typography>
      <Stack component="ul" spacing={1} sx={{ listStyle: 'none', p: 0, m: 0, mb: 1.5 }}>
        {passkeys.map((passkey) => (
          <Stack component="li" direction="row" key={passkey.id} sx={{ justifyContent: 'space-between', alignItems: 'center' }}>
            <Typography>
              {passkey.name} · {formats.date(new Date(passkey.created_at * 1000))}
            </Typography>
            <RemoveButton
              label={t('remove')}
              question={t('passkey.removeQuestion', { name: passkey.name })}
              consequence={t('passkey.removeConsequence')}
              onConfirm={() => void remove(passkey.id ?? 0)}
            />
          </Stack>
        ))}
      </Stack>
      <Button variant="outlined" onClick={() => void add()}>
        {t('passkey.add')}
      </Button>
    </Box>
  );
}
