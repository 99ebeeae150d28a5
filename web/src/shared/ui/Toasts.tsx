import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Snackbar from '@mui/material/Snackbar';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch, useSelector } from 'react-redux';
import { toastDismissed, type Toast } from './toasts';

interface ToastsProps {
  onUndo: (undo: NonNullable<Toast['undo']>) => void;
}

/** The oldest open toast. Toasts with an action stay longer (WCAG 2.2.1). */
export function Toasts({ onUndo }: ToastsProps) {
  const { t } = useTranslation();
  const dispatch = useDispatch();
  const toast = useSelector((state: { toasts: { items: Toast[] } }) => state.toasts.items[0]);
  if (!toast) return null;
  const close = () => dispatch(toastDismissed(toast.id));
  const { undo } = toast;
  return (
    <Snackbar
      key={toast.id}
      open
      autoHideDuration={undo ? 20_000 : 6_000}
      onClose={(_, reason) => {
        if (reason !== 'clickaway') close();
      }}
      anchorOrigin={{ vertical: 'bottom', horizontal: 'center' }}
    >
      <Alert
        severity={toast.tone}
        variant="outlined"
        sx={{ bgcolor: 'background.paper', color: 'text.primary', borderWidth: 2, alignItems: 'center' }}
        onClose={close}
        closeText={t('action.close')}
        role={toast.tone === 'error' ? 'alert' : 'status'}
        action={
          undo ? (
            <Button
              color="inherit"
              size="small"
              onClick={() => {
                onUndo(undo);
                close();
              }}
            >
              {t('action.undo')}
            </Button>
          ) : undefined
        }
      >
        {toast.text}
      </Alert>
    </Snackbar>
  );
}
