import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Container from '@mui/material/Container';
import Stack from '@mui/material/Stack';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link, NavLink } from '@/shared/lib/router';
import { useViewer } from '@/shared/api/viewer';
import { visuallyHidden } from '@/shared/ui/Page';
import { PLACES } from './navigation';
import { Preferences } from './Preferences';

function Logo() {
  return (
    <svg viewBox="0 0 32 32" width="30" height="30" aria-hidden="true" focusable="false">
      <rect width="32" height="32" rx="7" fill="#b3261e" />
      <rect x="6" y="6" width="20" height="13" rx="1.5" fill="#fff" />
      <path d="M6 23h20M6 27h12" stroke="#fff" strokeWidth="2.4" strokeLinecap="round" />
    </svg>
  );
}

export function Header() {
  const { t } = useTranslation();
  const viewer = useViewer();
  return (
    <Box component="header" sx={{ borderBottom: 1, borderColor: 'divider', bgcolor: 'background.default' }}>
      <Container maxWidth="xl" sx={{ display: 'flex', alignItems: 'center', gap: { xs: 0.5, sm: 1, md: 3 }, minHeight: 64 }}>
        <Box
          component={Link}
          to="/"
          sx={{
            display: 'flex',
            alignItems: 'center',
            gap: 1.25,
            color: 'text.primary',
            textDecoration: 'none',
            typography: 'h3',
            fontSize: '1.45rem',
          }}
        >
          <Logo />
          {/* The narrowest phones show only the logo. */}
          <Box component="span" sx={{ '@media (max-width: 359px)': visuallyHidden }}>
            {t('app')}
          </Box>
        </Box>
        <Stack
          component="nav"
          aria-label={t('nav.label')}
          direction="row"
          spacing={0.5}
          sx={{ display: { xs: 'none', md: 'flex' }, flex: 1 }}
        >
          {PLACES.map((place) => (
            <Button
              key={place.to}
              component={NavLink}
              to={place.to}
              end={place.to === '/'}
              color="inherit"
              sx={{
                color: 'text.secondary',
                '&.active': { color: 'primary.main', bgcolor: 'action.hover' },
              }}
            >
              {t(place.label)}
            </Button>
          ))}
          {viewer?.isStaff ? (
            <Button component={NavLink} to="/dashboard" color="inherit" sx={{ color: 'text.secondary', '&.active': { color: 'primary.main' } }}>
              {t('nav.dashboard')}
            </Button>
          ) : null}
        </Stack>
        <Box sx={{ flex: { xs: 1, md: 0 } }} />
        <Preferences />
        {/* Fixed size, so that nothing shifts when the session is known. */}
        <Button
          component={Link}
          to={viewer?.isSignedIn ? '/account' : '/account/sign-in'}
          variant={viewer?.isSignedIn ? 'text' : 'outlined'}
          sx={{ minWidth: { xs: 88, sm: 104 }, px: { xs: 1.5, sm: 2.25 }, visibility: viewer ? 'visible' : 'hidden', whiteSpace: 'nowrap' }}
        >
          {t(viewer?.isSignedIn ? 'nav.account' : 'nav.signIn')}
        </Button>
      </Container>
    </Box>
  );
}
