import BottomNavigation from '@mui/material/BottomNavigation';
import BottomNavigationAction from '@mui/material/BottomNavigationAction';
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
      <BottomNavigation showLabels value={here?.to ?? false} sx={{ bgcolor: 'transparent' }}>
        {places.map((place) => (
          <BottomNavigationAction
            key={place.to}
            component={Link}
            to={place.to}
            value={place.to}
            label={t(place.label)}
            icon={<place.icon />}
            aria-current={here?.to === place.to ? 'page' : undefined}
            sx={{ minWidth: 64, color: 'text.secondary' }}
          />
        ))}
      </BottomNavigation>
    </Box>
  );
}
