import Box from '@mui/material/Box';
import Link from '@mui/material/Link';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Page } from '@/shared/ui/Page';
import { AboutNav } from './AboutNav';

const EXAMPLE = (origin: string) => `curl -F image=@photo.jpg ${origin}/api/v1/caption

{"captions": [{"text": "...", "log_prob": -6.4, "confidence": 0.71}], "model": "..."}`;

export default function ApiPage() {
  const { t } = useTranslation('about');
  return (
    <Page title={t('api.title')} lead={t('api.lead')} width="md">
      <AboutNav />
      <Stack spacing={3}>
        <Typography sx={{ maxWidth: '68ch' }}>{t('api.text')}</Typography>
        <section>
          <Typography variant="h2" gutterBottom>
            {t('api.example')}
          </Typography>
          <Box
            component="pre"
            // It scrolls sideways on a phone, so it must be focusable.
            tabIndex={0}
            role="region"
            aria-label={t('api.example')}
            sx={{ bgcolor: 'background.paper', border: 1, borderColor: 'divider', borderRadius: 2, p: 2, overflowX: 'auto', fontSize: '0.9rem' }}
          >
            {EXAMPLE(location.origin)}
          </Box>
        </section>
        <Stack direction="row" spacing={3} useFlexGap sx={{ flexWrap: 'wrap' }}>
          <Link href="/api/v1/docs">{t('api.reference')}</Link>
          <Link href="/api/v1/openapi.json">{t('api.schema')}</Link>
        </Stack>
      </Stack>
    </Page>
  );
}
