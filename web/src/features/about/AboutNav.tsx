import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { NavLink } from '@/shared/lib/router';

const PAGES = [
  ['/about', 'how'],
  ['/about/model', 'model'],
  ['/about/api', 'api'],
  ['/about/privacy', 'privacy'],
  ['/about/terms', 'terms'],
  ['/about/accessibility', 'accessibility'],
] as const;

export function AboutNav() {
  const { t } = useTranslation('about');
  return (
    <Box component="nav" aria-label={t('nav')} sx={{ display: 'flex', flexWrap: 'wrap', gap: 1, mb: 4 }}>
      {PAGES.map(([to, name]) => (
        <Button
          key={to}
          component={NavLink}
          to={to}
          end
          size="small"
          variant="outlined"
          color="inherit"
          sx={{ borderColor: 'divider', '&.active': { color: 'primary.main', borderColor: 'primary.main' } }}
        >
          {t(`${name}.short`)}
        </Button>
      ))}
    </Box>
  );
}
