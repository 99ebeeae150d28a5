import Box from '@mui/material/Box';
import Container from '@mui/material/Container';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link as RouterLink } from '@/shared/lib/router';

const LINKS = [
  ['/about', 'footer.howItWorks'],
  ['/about/model', 'footer.model'],
  ['/about/api', 'footer.api'],
  ['/about/terms', 'footer.terms'],
  ['/about/privacy', 'footer.privacy'],
  ['/about/accessibility', 'footer.accessibility'],
] as const;

export function Footer() {
  const { t } = useTranslation();
  return (
    <Box component="footer" sx={{ borderTop: 1, borderColor: 'divider', mt: 'auto' }}>
      <Container
        maxWidth="xl"
        sx={{ py: 3, display: 'flex', flexWrap: 'wrap', gap: 2, justifyContent: 'space-between', alignItems: 'center' }}
      >
        <Typography variant="body2" color="textSecondary">
          {t('tagline')}
        </Typography>
        <Box component="nav" aria-label={t('footer.label')} sx={{ display: 'flex', flexWrap: 'wrap', columnGap: 2.5, rowGap: 0.5 }}>
          {LINKS.map(([to, label]) => (
            <Box key={to} component={RouterLink} to={to} sx={{ typography: 'body2', color: 'text.secondary', py: 0.5, minWidth: 24 }}>
              {t(label)}
            </Box>
          ))}
        </Box>
      </Container>
    </Box>
  );
}
