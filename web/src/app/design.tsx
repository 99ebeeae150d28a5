import createCache from '@emotion/cache';
import { CacheProvider } from '@emotion/react';
import CssBaseline from '@mui/material/CssBaseline';
import { createTheme, ThemeProvider, type Theme } from '@mui/material/styles';
import { renderToString } from 'react-dom/server';
import { overrides, SERIF } from './overrides';

// The theme, as MUI computes it. This runs at build time (see builtTheme.ts): the browser gets what comes of it, a style
// sheet and a few names (see theme.ts), instead of MUI's code for colours and schemes.
//
// A newspaper's picture page: warm paper, black ink, one red. Captions use the serif; controls use the sans.
// Text has a contrast of at least 4.5:1 in both schemes.
const SANS = '"Inter Variable", system-ui, -apple-system, "Segoe UI", sans-serif';

export const design = createTheme({
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
    ...overrides,
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
  },
});

/** The names of a theme's variables: a tree, whose paths are the names. */
export type Names = 0 | Names[] | { [part: string]: Names };

function names(values: unknown): Names {
  if (Array.isArray(values)) return values.map(names);
  if (typeof values !== 'object' || values === null) return 0;
  return Object.fromEntries(Object.entries(values).map(([part, value]) => [part, names(value)]));
}

/** The design as MUI's provider gives it to components. */
export function provided() {
  const { generateThemeVars, generateSpacing, ...rest } = design as typeof design & { generateThemeVars: () => NonNullable<Theme['vars']>; generateSpacing: () => Theme['spacing'] };
  const theme = { ...rest, vars: generateThemeVars() };
  return { ...theme, spacing: generateSpacing.call(theme) };
}

/** What theme.ts needs to know of the design. */
export function computed() {
  const { vars, typography, transitions, mixins, motion, zIndex, shape } = provided();
  return { names: names(vars), typography, transitions, mixins, motion, zIndex, shape };
}

/** The design's variables in both schemes, and the styles of the document itself. */
export function sheet(): string {
  const cache = createCache({ key: 'css' });
  cache.compat = true; // keep the styles in the cache, not in the markup
  renderToString(
    <CacheProvider value={cache}>
      <ThemeProvider theme={design}>
        <CssBaseline enableColorScheme />
      </ThemeProvider>
    </CacheProvider>,
  );
  return Object.values(cache.inserted).filter((style) => typeof style === 'string').join('');
}
