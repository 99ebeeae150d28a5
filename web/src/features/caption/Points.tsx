import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { visuallyHidden } from '@/shared/ui/Page';

const POINTS = ['one', 'two', 'three'] as const;

/** The benefits of the app, shown while there are no photos. */
export function Points() {
  const { t } = useTranslation('caption');
  return (
    <Box component="section" aria-labelledby="points" sx={{ mt: { xs: 4, md: 6 } }}>
      <Box component="h2" id="points" sx={visuallyHidden}>
        {t('points.heading')}
      </Box>
      <Box sx={{ display: 'grid', gap: { xs: 3, md: 5 }, gridTemplateColumns: { md: 'repeat(3, 1fr)' } }}>
        {POINTS.map((point) => (
          <Box key={point} sx={{ borderTop: 2, borderColor: 'primary.main', pt: 2 }}>
            <Typography variant="h3" gutterBottom>
              {t(`points.${point}.title`)}
            </Typography>
            <Typography color="textSecondary">{t(`points.${point}.text`)}</Typography>
          </Box>
        ))}
      </Box>
    </Box>
  );
}
