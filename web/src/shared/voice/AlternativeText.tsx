import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '../api/generated';
import { useCaptionLanguage } from '../api/viewer';

/** The plain description: always in sight, and never in a voice. */
export function AlternativeText({ image, caption }: { image: ImageOut; caption: string }) {
  const { t } = useTranslation('voice');
  const language = useCaptionLanguage()();
  return (
    <Box sx={{ borderLeft: 3, borderColor: 'divider', pl: 2 }}>
      <Typography variant="body2" sx={{ fontWeight: 600 }}>
        {t('alternative.title')}
      </Typography>
      <Typography lang={language} sx={{ overflowWrap: 'anywhere' }}>
        {image.description || caption}
      </Typography>
      <Typography variant="body2" color="textSecondary">
        {t('alternative.hint')}
      </Typography>
    </Box>
  );
}
