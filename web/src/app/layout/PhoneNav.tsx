import Box from '@mui/material/Box';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link, useAddress } from '@/shared/lib/router';
import { useViewer } from '@/shared/api/viewer';
import { DASHBOARD, PLACES } from './navigation';

/** The main pages, in a row below the header. It scrolls away: a floating bar would cover controls. */
export function PhoneNav() {
  const { t } = useTranslation();
  const { pathname } = useAddress();
  const isStaff = useViewer()?.isStaff ?? false;
  const places = isStaff ? [...PLACES, DASHBOARD] : PLACES;
  const here = places.find((place) => (place.to === '/' ? pathname === '/' : pathname.startsWith(place.to)));
  return (
    <Box
      component="nav"
      aria-label={t('nav.label')}
      sx={{
        display: { xs: 'block', md: 'none' },
        borderBottom: 1,
        borderColor: 'divider',
        bgcolor: 'background.paper',
      }}
    >
      <Box sx={{ display: 'flex', flexWrap: 'wrap' }}>
        {places.map((place) => (
          <Box
            key={place.to}
            component={Link}
            to={place.to}
            aria-current={here?.to === place.to ? 'page' : undefined}
            sx={{
              flex: '1 0 64px', // wraps into two rows when the text is enlarged
              minHeight: 56,
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
