import LinearProgress from '@mui/material/LinearProgress';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { BulkOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';

export function Progress({ bulk }: { bulk: BulkOut }) {
  const { t } = useTranslation('bulk');
  const formats = useFormats();
  const { total, waiting, done, failed } = bulk.counts;
  const share = total > 0 ? (total - waiting) / total : 0;
  const words = t('progress', {
    state: t(`state.${bulk.state}`),
    done: formats.number(done),
    total: formats.number(total),
    failed: formats.number(failed),
  });
  return (
    <>
      <LinearProgress
        variant={total === 0 && bulk.state === 'queued' ? 'indeterminate' : 'determinate'}
        value={share * 100}
        color={bulk.state === 'failed' || (done === 0 && failed > 0) ? 'error' : bulk.state === 'done' ? 'success' : 'primary'}
        aria-label={words}
      />
      <Typography variant="body2" color="textSecondary" sx={{ mt: 0.75 }}>
        {words}
      </Typography>
    </>
  );
}
