import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import LinearProgress from '@mui/material/LinearProgress';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useCancelJobMutation, useRetryJobMutation, type ImageOut } from '@/shared/api/generated';
import { useOnce } from '@/shared/lib/useOnce';

interface JobNoteProps {
  image: ImageOut;
  job: { id: string; state: string; error?: { code: string; message: string } | null } | null;
  hasCaption: boolean;
}

/** The progress of the photo's job, or why it failed. */
export function JobNote({ image, job, hasCaption }: JobNoteProps) {
  const { t } = useTranslation('photo');
  const [retry] = useRetryJobMutation();
  const tryAgain = useOnce((jobId: string) => retry({ jobId }));
  const [cancel] = useCancelJobMutation();
  if (!job || !image.mine) return null;
  if (job.state === 'failed' || (job.state === 'cancelled' && !hasCaption)) {
    return (
      <Alert
        severity={job.state === 'failed' ? 'error' : 'info'}
        role="alert"
        action={
          <Button color="inherit" size="small" onClick={() => tryAgain(job.id)}>
            {t('job.retry')}
          </Button>
        }
      >
        {job.error?.message || t(job.state === 'failed' ? 'job.failed' : 'job.cancelled')}
      </Alert>
    );
  }
  if (job.state !== 'queued' && job.state !== 'running') return null;
  return (
    <Stack spacing={1} role="status">
      <Stack direction="row" sx={{ justifyContent: 'space-between', alignItems: 'center' }}>
        <Typography color="textSecondary">{t(job.state === 'queued' ? 'job.queued' : 'job.running')}</Typography>
        <Button size="small" onClick={() => void cancel({ jobId: job.id })}>
          {t('job.cancel')}
        </Button>
      </Stack>
      <LinearProgress aria-label={t('job.running')} />
    </Stack>
  );
}
