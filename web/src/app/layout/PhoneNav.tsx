import Box from '@mui/material/Box';
import { useTranslation } from 'react-i18next';
import { Link, useLocation } from 'react-router';
import { useViewer } from '@/shared/api/viewer';
import { DASHBOARD, PLACES } from './navigation';

/** The main places, within a thumb's reach. */
export function PhoneNav() {
  const { t } = useTranslation();
  const { pathname } = useLocation();
  const isStaff = useViewer()?.isStaff ?? false;
  const places = isStaff ? [...PLACES, DASHBOARD] : PLACES;
  const here = places.find((place) => (place.to === '/' ? pathname === '/' : pathname.startsWith(place.to)));
  return (
    <Box
      component="nav"
      aria-label={t('nav.label')}
      sx={{
        display: { xs: 'block', md: 'none' },
        position: 'sticky',
        bottom: 0,
        zIndex: 'appBar',
        borderTop: 1,
        borderColor: 'divider',
        bgcolor: 'background.paper',
        pb: 'env(safe-area-inset-bottom)',
      }}
    >
      <Box sx={{ display: 'flex', height: 56 }}>
        {places.map((place) => (
          <Box
            key={place.to}
            component={Link}
            to={place.to}
            aria-current={here?.to === place.to ? 'page' : undefined}
            sx={{
              flex: 1,
              minWidth: 64,
              display: 'flex',
              flexDirection: 'column',
              alignItems: 'center',
              justifyContent: 'center',
              typography: 'caption',
              color: 'text.secondary',
              textDecoration: 'none',
              '&[aria-current]': { color: 'primary.main', fontWeight: 600 },
            }}
          >
            <place.icon />
            {t(place.label)}
          </Box>
        ))}
      </Box>
    </Box>
  );
}
