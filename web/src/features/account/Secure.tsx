import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ask, hasPassword, needsReauthentication, type Answer } from './allauth';
import { AuthForm } from './AuthForm';

type Ask = <T = Record<string, unknown>>(...args: Parameters<typeof ask>) => Promise<Answer<T>>;

const SecureContext = createContext<Ask>(ask);

/** As `ask`, but where the server wants the password again, the person is asked for it first. */
export function useSecureAsk(): Ask {
  return useContext(SecureContext);
}

const ConfirmContext = createContext<() => Promise<boolean>>(() => Promise.resolve(false));

/** Ask the person for a proof again; false where they would rather not. */
export function useConfirm(): () => Promise<boolean> {
  return useContext(ConfirmContext);
}

type Way = 'password' | 'code' | 'none';

/** What this account can prove itself with. */
async function wayOf(): Promise<Way> {
  if ((await hasPassword()) !== false) return 'password';
  const authenticators = await ask<{ type: string }[]>('GET', '/account/authenticators');
  return authenticators.status === 200 && authenticators.data.some((each) => each.type === 'totp') ? 'code' : 'none';
}

export function SecureProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation(['account', 'common']);
  const [resume, setResume] = useState<{ way: Way; go: (confirmed: boolean) => void } | null>(null);
  const confirm = useCallback(async () => {
    const way = await wayOf();
    const isConfirmed = await new Promise<boolean>((go) => setResume({ way, go }));
    setResume(null);
    return isConfirmed;
  }, []);
  const secure = useCallback<Ask>(
    async <T,>(...args: Parameters<typeof ask>): Promise<Answer<T>> => {
      const answer = await ask<T>(...args);
      if (!needsReauthentication(answer as Answer)) return answer;
      return (await confirm()) ? ask<T>(...args) : answer;
    },
    [confirm],
  );
  return (
    <SecureContext value={secure}>
      <ConfirmContext value={confirm}>{children}</ConfirmContext>
      {resume ? (
        <Dialog open onClose={() => resume.go(false)} aria-labelledby="confirm-title" fullWidth maxWidth="xs">
          <DialogTitle id="confirm-title">{t('confirm.title')}</DialogTitle>
          <DialogContent>
            {resume.way === 'none' ? (
              <Typography>{t('confirm.signInAgain')}</Typography>
            ) : (
              <AuthForm
                fields={[
                  resume.way === 'password'
                    ? { name: 'password', label: t('field.password'), type: 'password', autoComplete: 'current-password' }
                    : { name: 'code', label: t('field.code'), autoComplete: 'one-time-code' },
                ]}
                submit={t('confirm.submit')}
                onSubmit={(values) => ask('POST', resume.way === 'password' ? '/auth/reauthenticate' : '/auth/2fa/reauthenticate', values)}
                onAnswer={(answer) => {
                  if (answer.status !== 200) return false;
                  resume.go(true);
                  return true;
                }}
              />
            )}
          </DialogContent>
          {resume.way === 'none' ? (
            <DialogActions>
              <Button onClick={() => resume.go(false)}>{t('common:action.close')}</Button>
            </DialogActions>
          ) : null}
        </Dialog>
      ) : null}
    </SecureContext>
  );
}
