import { createTheme } from '@mui/material/styles';

// A newspaper's picture page: warm paper, black ink, one red. Captions use the serif; controls use the sans.
// Text has a contrast of at least 4.5:1 in both schemes.
export const SERIF = '"Newsreader Variable", Georgia, "Times New Roman", serif';
const FLOATING = '0 8px 28px rgb(29 20 10 / 14%)';
const SANS = '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif';

export const theme = createTheme({
  cssVariables: { colorSchemeSelector: 'data-theme' },
  colorSchemes: {
    light: {
      palette: {
        primary: { main: '#b3261e', dark: '#8c1d17', light: '#d8564d', contrastText: '#ffffff' },
        secondary: { main: '#3d4a5c', contrastText: '#ffffff' },
        background: { default: '#fbf9f5', paper: '#ffffff' },
        text: { primary: '#1d1a17', secondary: '#5c554d' },
        divider: '#e4ded4',
        success: { main: '#1e6b3a' },
        warning: { main: '#8a5200' },
        error: { main: '#a3150f' },
        info: { main: '#22577a' },
      },
    },
    dark: {
      palette: {
        primary: { main: '#ff8a7a', dark: '#e8665a', light: '#ffb4a8', contrastText: '#2a0805' },
        secondary: { main: '#b7c4d6', contrastText: '#10161f' },
        background: { default: '#161412', paper: '#201d1a' },
        text: { primary: '#f3eee6', secondary: '#b8aea2' },
        divider: '#3a352f',
        success: { main: '#7fd39b' },
        warning: { main: '#f0b860' },
        error: { main: '#ff9d92' },
        info: { main: '#8cc6e8' },
      },
    },
  },
  shape: { borderRadius: 10 },
  spacing: 8,
  typography: {
    fontFamily: SANS,
    h1: { fontFamily: SERIF, fontWeight: 500, fontSize: 'clamp(2rem, 1.4rem + 2.6vw, 3.25rem)', lineHeight: 1.1, letterSpacing: '-0.015em', overflowWrap: 'anywhere' },
    h2: { fontFamily: SERIF, fontWeight: 500, fontSize: 'clamp(1.5rem, 1.2rem + 1.2vw, 2.1rem)', lineHeight: 1.2 },
    h3: { fontFamily: SERIF, fontWeight: 550, fontSize: '1.3rem', lineHeight: 1.3 },
    body1: { lineHeight: 1.6 },
    button: { textTransform: 'none', fontWeight: 600 },
    overline: { letterSpacing: '0.08em', fontWeight: 600 },
  },
  components: {
    MuiCssBaseline: {
      styleOverrides: {
        // Keep the focused element clear of a toast at the bottom.
        html: { scrollPaddingBottom: 80 },
        body: { minHeight: '100dvh' },
        '#root': { minHeight: '100dvh', display: 'flex', flexDirection: 'column' },
        ':focus-visible': { outline: '3px solid var(--mui-palette-primary-main)', outlineOffset: 2 },
        '@media (prefers-reduced-motion: reduce)': {
          '*, *::before, *::after': {
            animationDuration: '0.01ms !important',
            animationIterationCount: '1 !important',
            transitionDuration: '0.01ms !important',
            scrollBehavior: 'auto !important',
          },
        },
      },
    },
    MuiButton: {
      defaultProps: { disableElevation: true },
      styleOverrides: {
        root: {
          minHeight: 40,
          borderRadius: 999,
          paddingInline: 18,
          // This padding lets a margin of -2 (small: -1.5) align the label with the surrounding text.
          variants: [
            { props: { variant: 'text' }, style: { paddingInline: 16 } },
            { props: { variant: 'text', size: 'small' }, style: { paddingInline: 12 } },
            { props: { size: 'small' }, style: { whiteSpace: 'nowrap', flexShrink: 0 } },
            { props: { variant: 'outlined', color: 'inherit' }, style: { borderColor: 'var(--mui-palette-divider)' } },
          ],
        },
      },
    },
    MuiToggleButton: { styleOverrides: { root: { minHeight: 40, paddingInline: 14, textTransform: 'none', fontWeight: 600 } } },
    MuiIconButton: { styleOverrides: { root: { minWidth: 40, minHeight: 40 } } },
    MuiLink: { defaultProps: { underline: 'always' } },
    MuiPaper: { styleOverrides: { root: { backgroundImage: 'none' }, rounded: { borderRadius: 14 } } },
    // Floating surfaces have a border, like cards, and a faint shadow.
    MuiPopover: { styleOverrides: { paper: { border: '1px solid var(--mui-palette-divider)', boxShadow: FLOATING } } },
    MuiDialog: { styleOverrides: { paper: { border: '1px solid var(--mui-palette-divider)', boxShadow: FLOATING } } },
    MuiDialogTitle: { styleOverrides: { root: { fontFamily: SERIF, fontWeight: 550, fontSize: '1.4rem' } } },
    MuiDialogActions: { styleOverrides: { root: { padding: '8px 24px 20px' } } },
    MuiAlert: { styleOverrides: { root: { borderRadius: 12, alignItems: 'center' }, action: { paddingTop: 0, whiteSpace: 'nowrap' } } },
    // Inside a landmark, as screen readers expect of all content.
    MuiMenu: { defaultProps: { container: () => document.getElementById('content') } },
    MuiTextField: { defaultProps: { variant: 'outlined', size: 'small', fullWidth: true } },
    MuiTooltip: { defaultProps: { arrow: true, describeChild: true } },
  },
});
