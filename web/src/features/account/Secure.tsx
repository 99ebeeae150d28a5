import Dialog from '@mui/material/Dialog';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import { createContext, useCallback, useContext, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { ask, needsReauthentication, type Answer } from './allauth';
import { AuthForm } from './AuthForm';

type Ask = <T = Record<string, unknown>>(...args: Parameters<typeof ask>) => Promise<Answer<T>>;

const SecureContext = createContext<Ask>(ask);

/** As `ask`, but where the server wants the password again, the person is asked for it first. */
export function useSecureAsk(): Ask {
  return useContext(SecureContext);
}

const ConfirmContext = createContext<() => Promise<boolean>>(() => Promise.resolve(false));

/** Ask the person for the password again; false where they would rather not. */
export function useConfirm(): () => Promise<boolean> {
  return useContext(ConfirmContext);
}

export function SecureProvider({ children }: { children: ReactNode }) {
  const { t } = useTranslation('account');
  const [resume, setResume] = useState<{ go: (confirmed: boolean) => void } | null>(null);
  const confirm = useCallback(async () => {
    const isConfirmed = await new Promise<boolean>((go) => setResume({ go }));
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
            <AuthForm
              fields={[{ name: 'password', label: t('field.password'), type: 'password', autoComplete: 'current-password' }]}
              submit={t('confirm.submit')}
              onSubmit={(values) => ask('POST', '/auth/reauthenticate', values)}
              onAnswer={(answer) => {
                if (answer.status !== 200) return false;
                resume.go(true);
                return true;
              }}
            />
          </DialogContent>
        </Dialog>
      ) : null}
    </SecureContext>
  );
}
