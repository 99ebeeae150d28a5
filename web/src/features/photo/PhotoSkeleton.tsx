import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import { useTranslation } from '@/shared/i18n/useTranslation';

export const COLUMNS = { display: 'grid', gap: { xs: 3, md: 5 }, gridTemplateColumns: { xs: 'minmax(0, 1fr)', md: 'minmax(0, 3fr) minmax(320px, 2fr)' } } as const;

export function PhotoSkeleton() {
  const { t } = useTranslation();
  return (
    <Box sx={COLUMNS} role="status" aria-label={t('state.loading')}>
      <Skeleton data-photo variant="rounded" sx={{ position: 'relative', overflow: 'hidden', mx: 'auto', width: '100%', aspectRatio: '4 / 3', height: 'auto', borderRadius: '14px' }} />
      <Box>
        <Skeleton sx={{ fontSize: '2.4rem' }} />
        <Skeleton sx={{ fontSize: '2.4rem', width: '60%', mb: 3 }} />
        <Skeleton variant="rounded" sx={{ height: 280 }} />
      </Box>
    </Box>
  );
}
