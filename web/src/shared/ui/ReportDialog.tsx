import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import FormControlLabel from '@mui/material/FormControlLabel';
import Radio from '@mui/material/Radio';
import RadioGroup from '@mui/material/RadioGroup';
import TextField from '@mui/material/TextField';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useReportImageMutation, type ReportIn } from '../api/generated';
import { problemOf } from '../api/problem';
import { toastShown } from './toasts';

const REASONS = ['sexual', 'violent', 'hateful', 'privacy', 'copyright', 'spam', 'other'] as const satisfies readonly ReportIn['reason'][];

interface ReportDialogProps {
  imageId: string;
  token?: string;
  onClose: () => void;
}

/** Reports a published photo to the moderators. */
export default function ReportDialog({ imageId, token, onClose }: ReportDialogProps) {
  const { t } = useTranslation(['report', 'common']);
  const dispatch = useDispatch();
  const [reason, setReason] = useState<ReportIn['reason']>('other');
  const [text, setText] = useState('');
  const [report, { isLoading, error }] = useReportImageMutation();
  const submit = async (event: FormEvent) => {
    event.preventDefault();
    const result = await report({ imageId, token, reportIn: { reason, text } });
    if (result.error) return;
    dispatch(toastShown({ tone: 'success', text: t('done') }));
    onClose();
  };
  return (
    <Dialog open onClose={onClose} aria-labelledby="report-title" fullWidth maxWidth="xs">
      <form onSubmit={(event) => void submit(event)}>
        <DialogTitle id="report-title">{t('title')}</DialogTitle>
        <DialogContent>
          <RadioGroup aria-labelledby="report-title" value={reason} onChange={(_, value) => setReason(value as ReportIn['reason'])}>
            {REASONS.map((each) => (
              <FormControlLabel key={each} value={each} control={<Radio />} label={t(each)} />
            ))}
          </RadioGroup>
          <TextField label={t('text')} value={text} onChange={(event) => setText(event.target.value)} multiline minRows={2} sx={{ mt: 2 }} slotProps={{ htmlInput: { maxLength: 2000 } }} />
          {error ? (
            <Alert severity="error" role="alert" sx={{ mt: 2 }}>
              {problemOf(error).detail || t('failed')}
            </Alert>
          ) : null}
        </DialogContent>
        <DialogActions>
          <Button onClick={onClose}>{t('common:action.cancel')}</Button>
          <Button type="submit" variant="contained" disabled={isLoading}>
            {t('send')}
          </Button>
        </DialogActions>
      </form>
    </Dialog>
  );
}
