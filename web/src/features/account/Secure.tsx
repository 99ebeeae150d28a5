import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { problemOf } from '@/shared/api/problem';
import { request, hasPassword, needsReauthentication, type Answer } from './allauth';
import { AuthForm } from './AuthForm';

type AuthRequest = <T = Record<string, unknown>>(...args: Parameters<typeof request>) => Promise<Answer<T>>;

const SecureContext = createContext<AuthRequest>(request);

/** Like `request`, but prompts for the password when the server requires reauthentication. */
export function useSecureRequest(): AuthRequest {
  return useContext(SecureContext);
}

const ConfirmContext = createContext<() => Promise<boolean>>(() => Promise.resolve(false));

/** Prompt for reauthentication; false if the user cancels. */
export function useConfirm(): () => Promise<boolean> {
  return useContext(ConfirmContext);
}

/** Run a call of Cutline's own API; where it needs a fresh sign-in, prompt and run it again. */
export function useWithProof(): <R extends { error?: unknown }>(act: () => PromiseLike<R>) => Promise<R> {
  const confirm = useConfirm();
  return useCallback(
    async (act) => {
      const result = await act();
      const needsProof = result.error !== undefined && problemOf(result.error).code === 'reauthentication_required';
      return needsProof && (await confirm()) ? act() : result;
    },
    [confirm],
  );
}

type Method = 'password' | 'code' | 'none';

/** How this account can reauthenticate. */
async function reauthenticationMethod(): Promise<Method> {
  if ((await hasPassword()) !== false) return 'password';
  const authenticators = await request<{ type: string }[]>('GET', '/account/authenticators');
  return authenticators.status === 200 && authenticators.data.some((each) => each.type === 'totp') ? 'code' : 'none';
}

export function SecureProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation(['account', 'common']);
  const [prompt, setPrompt] = useState<{ method: Method; resolve: (confirmed: boolean) => void } | null>(null);
  const confirm = useCallback(async () => {
    const method = await reauthenticationMethod();
    const isConfirmed = await new Promise<boolean>((resolve) => setPrompt({ method, resolve }));
    setPrompt(null);
    return isConfirmed;
  }, []);
  const secure = useCallback<AuthRequest>(
    async <T,>(...args: Parameters<typeof request>): Promise<Answer<T>> => {
      const answer = await request<T>(...args);
      if (!needsReauthentication(answer as Answer)) return answer;
      return (await confirm()) ? request<T>(...args) : answer;
    },
    [confirm],
  );
  return (
    <SecureContext value={secure}>
      <ConfirmContext value={confirm}>{children}</ConfirmContext>
      {prompt ? (
        <Dialog open onClose={() => prompt.resolve(false)} aria-labelledby="confirm-title" fullWidth maxWidth="xs">
          <DialogTitle id="confirm-title">{t('confirm.title')}</DialogTitle>
          <DialogContent>
            {prompt.method === 'none' ? (
              <Typography>{t('confirm.signInAgain')}</Typography>
            ) : (
              <AuthForm
                fields={[
                  prompt.method === 'password'
                    ? { name: 'password', label: t('field.password'), type: 'password', autoComplete: 'current-password' }
                    : { name: 'code', label: t('field.code'), autoComplete: 'one-time-code' },
                ]}
                submit={t('confirm.submit')}
                onSubmit={(values) => request('POST', prompt.method === 'password' ? '/auth/reauthenticate' : '/auth/2fa/reauthenticate', values)}
                onAnswer={(answer) => {
                  if (answer.status !== 200) return false;
                  prompt.resolve(true);
                  return true;
                }}
              />
            )}
          </DialogContent>
          {prompt.method === 'none' ? (
            <DialogActions>
              <Button onClick={() => prompt.resolve(false)}>{t('common:action.close')}</Button>
            </DialogActions>
          ) : null}
        </Dialog>
      ) : null}
    </SecureContext>
  );
}
