import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useId, useState, type FormEvent, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { problemOf } from '@/shared/api/problem';
import { toastShown } from '@/shared/ui/toasts';
import { usePromoteModelMutation, useRollBackModelMutation, useSetChallengerSharesMutation, useStopChallengerMutation, type SharesOut } from './generated';

const MAX_REASON = 1000; // the API's limit

interface ReasonedProps {
  label: string; // of the button, and of the one that confirms
  name?: string; // where there are several of that label: what a screen reader calls the button
  color?: 'primary' | 'error';
  isMain?: boolean;
  question: string;
  consequence: string;
  done: string;
  children?: ReactNode; // further fields
  onConfirm: (why: string) => Promise<{ error?: unknown }>;
}

/** A button that asks for a reason before it does anything. */
function Reasoned({ label, name, color = 'primary', isMain = false, question, consequence, done, children, onConfirm }: ReasonedProps) {
  const { t } = useTranslation(['models', 'common']);
  const dispatch = useDispatch();
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const [why, setWhy] = useState('');
  const [isBusy, setBusy] = useState(false);
  const [error, setError] = useState<unknown>();
  const close = () => {
    setOpen(false);
    setWhy('');
    setError(undefined);
  };
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    if (isBusy || !why.trim()) return;
    setBusy(true);
    const result = await onConfirm(why.trim());
    setBusy(false);
    setError(result.error);
    if (result.error) return;
    dispatch(toastShown({ tone: 'success', text: done }));
    close();
  };
  const problem = error === undefined ? null : problemOf(error);
  return (
    <>
      <Button variant={isMain ? 'contained' : 'outlined'} color={color} aria-label={name} onClick={() => setOpen(true)}>
        {label}
      </Button>
      <Dialog open={isOpen} onClose={close} aria-labelledby={`${id}title`} aria-describedby={`${id}text`} fullWidth maxWidth="xs">
        <form onSubmit={(event) => void submit(event)}>
          <DialogTitle id={`${id}title`} sx={{ overflowWrap: 'anywhere' }}>
            {question}
          </DialogTitle>
          <DialogContent>
            <Stack spacing={2}>
              <Typography id={`${id}text`}>{consequence}</Typography>
              {children}
              <TextField
                label={t('why')}
                helperText={t('whyHint')}
                value={why}
                onChange={(event) => setWhy(event.target.value)}
                required
                multiline
                minRows={2}
                slotProps={{ htmlInput: { maxLength: MAX_REASON } }}
              />
              {problem ? (
                <Alert severity="error" role="alert">
                  {[problem.detail, problem.hint].filter(Boolean).join(' ') || t('failed')}
                </Alert>
              ) : null}
            </Stack>
          </DialogContent>
          <DialogActions>
            <Button onClick={close}>{t('common:action.cancel')}</Button>
            <Button type="submit" variant="contained" color={color} disabled={isBusy || !why.trim()}>
              {label}
            </Button>
          </DialogActions>
        </form>
      </Dialog>
    </>
  );
}

type ActProps = { expected: string; label: string } & (
  | { act: 'promote' | 'challenge'; version: string; isRow?: boolean }
  | { act: 'rollback' | 'stop' }
);

/** Promote a version, make it the challenger, go back, or stop the challenger. */
export function Act(props: ActProps) {
  const { t } = useTranslation('models');
  const [promote] = usePromoteModelMutation();
  const [rollBack] = useRollBackModelMutation();
  const [stop] = useStopChallengerMutation();
  const { act, expected, label } = props;
  const send = (why: string) => {
    switch (props.act) {
      case 'promote':
        return promote({ promoteIn: { version: props.version, to: 'champion', why, expected } });
      case 'challenge':
        return promote({ promoteIn: { version: props.version, to: 'challenger', why, expected } });
      case 'rollback':
        return rollBack({ reasonIn: { why, expected } });
      case 'stop':
        return stop({ reasonIn: { why, expected } });
    }
  };
  const isRow = 'isRow' in props && props.isRow;
  return (
    <Reasoned
      label={t(`act.${act}.label`)}
      name={isRow ? t(`act.${act}.name`, { label }) : undefined}
      color={act === 'stop' || act === 'rollback' ? 'error' : 'primary'}
      isMain={act === 'promote' && !isRow}
      question={t(`act.${act}.question`, { label })}
      consequence={t(`act.${act}.consequence`)}
      done={t(`act.${act}.done`)}
      onConfirm={send}
    />
  );
}

/** Change how much the challenger gets. */
export function Shares({ shares }: { shares: SharesOut }) {
  const { t } = useTranslation('models');
  const [set] = useSetChallengerSharesMutation();
  const [canary, setCanary] = useState<string>();
  const [shadow, setShadow] = useState<string>();
  const fields = [
    { name: 'canary', value: canary ?? String(shares.canary_percent), change: setCanary },
    { name: 'shadow', value: shadow ?? String(shares.shadow_percent), change: setShadow },
  ] as const;
  const send = async (why: string) => {
    const result = await set({ sharesIn: { canary_percent: Number(fields[0].value), shadow_percent: Number(fields[1].value), why } });
    if (!result.error) {
      setCanary(undefined);
      setShadow(undefined);
    }
    return result;
  };
  return (
    <Reasoned label={t('act.shares.label')} question={t('act.shares.question')} consequence={t('act.shares.consequence')} done={t('act.shares.done')} onConfirm={send}>
      {fields.map(({ name, value, change }) => (
        <TextField
          key={name}
          label={t(`act.shares.${name}`)}
          helperText={t(`act.shares.${name}Hint`)}
          type="number"
          value={value}
          onChange={(event) => change(event.target.value)}
          required
          slotProps={{ htmlInput: { min: 0, max: 100, step: 'any' } }}
        />
      ))}
    </Reasoned>
  );
}
