import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import Typography from '@mui/material/Typography';
import { useId, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';

interface RemoveButtonProps {
  /** The label of the button and of the confirmation button. */
  label: string;
  /** The title of the confirmation dialog; names the item. */
  question: string;
  /** What changes when the user confirms. */
  consequence: string;
  onConfirm: () => void;
}

/** A button for an irreversible action, with a confirmation dialog. */
export function RemoveButton({ label, question, consequence, onConfirm }: RemoveButtonProps) {
  const { t } = useTranslation('common');
  const [isAsking, setAsking] = useState(false);
  const id = useId();
  const close = () => setAsking(false);
  return (
    <>
      <Button size="small" color="error" onClick={() => setAsking(true)}>
        {label}
      </Button>
      <Dialog open={isAsking} onClose={close} aria-labelledby={`${id}title`} aria-describedby={`${id}text`} fullWidth maxWidth="xs">
        <DialogTitle id={`${id}title`} sx={{ overflowWrap: 'anywhere' }}>
          {question}
        </DialogTitle>
        <DialogContent>
          <Typography id={`${id}text`}>{consequence}</Typography>
        </DialogContent>
        <DialogActions>
          <Button onClick={close}>
            {t('action.cancel')}
          </Button>
          <Button
            color="error"
            variant="contained"
            onClick={() => {
              close();
              onConfirm();
            }}
          >
            {label}
          </Button>
        </DialogActions>
      </Dialog>
    </>
  );
}
