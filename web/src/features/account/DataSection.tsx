import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Dialog from '@mui/material/Dialog';
import DialogActions from '@mui/material/DialogActions';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import FormControlLabel from '@mui/material/FormControlLabel';
import Stack from '@mui/material/Stack';
import Switch from '@mui/material/Switch';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useChangeMeMutation, useDeleteMeMutation, type MeOut } from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useOnce } from '@/shared/lib/useOnce';
import { toastShown } from '@/shared/ui/toasts';
import { useSwitchViewer } from './useSwitchViewer';
import { useWithProof } from './Secure';
import { Section } from './Section';

/** Consent to training, data export, and account deletion. */
export function DataSection({ me }: { me: MeOut }) {
  const { t } = useTranslation(['account', 'common']);
  const [change] = useChangeMeMutation();
  const [wanted, setWanted] = useState<boolean | null>(null); // shown until the server confirms it
  const consent = async (isOn: boolean) => {
    setWanted(isOn);
    const result = await change({ meIn: { may_train: isOn } });
    if (result.error) {
      setWanted(null);
      dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('data.consentFailed') }));
    }
  };
  const [remove, removing] = useDeleteMeMutation();
  const [isAsking, setAsking] = useState(false);
  const dispatch = useDispatch();
  const switchViewer = useSwitchViewer();
  const withProof = useWithProof();
  const onDelete = useOnce(async () => {
    const result = await withProof(() => remove({}));
    if (!result.error) switchViewer('/');
  });
  return (
    <Section title={t('data.title')}>
      <Stack spacing={3} sx={{ alignItems: 'flex-start' }}>
        <div>
          <FormControlLabel
            label={t('data.consent')}
            control={
              <Switch
                checked={wanted ?? me.may_train}
                onChange={(_, isOn) => void consent(isOn)}
              />
            }
          />
          <Typography variant="body2" color="textSecondary" sx={{ maxWidth: '60ch' }}>
            {t('data.consentHint')}
          </Typography>
        </div>
        <Button component="a" href="/api/v1/me/export" download variant="outlined">
          {t('data.export')}
        </Button>
        <Button color="error" variant="outlined" onClick={() => setAsking(true)}>
          {t('data.delete')}
        </Button>
      </Stack>
      <Dialog open={isAsking} onClose={() => setAsking(false)} aria-labelledby="delete-title">
        <DialogTitle id="delete-title">{t('data.deleteTitle')}</DialogTitle>
        <DialogContent>
          <Typography>{t('data.deleteText')}</Typography>
          {removing.error ? (
            <Alert severity="error" role="alert" sx={{ mt: 2 }}>
              {problemOf(removing.error).detail || t('error.failed')}
            </Alert>
          ) : null}
        </DialogContent>
        <DialogActions>
          <Button onClick={() => setAsking(false)}>{t('common:action.cancel')}</Button>
          <Button color="error" variant="contained" onClick={onDelete}>
            {t('data.deleteSubmit')}
          </Button>
        </DialogActions>
      </Dialog>
    </Section>
  );
}
