import type { Components, Theme } from '@mui/material/styles';

// What the app changes about MUI's components; the rest of the theme is in design.tsx.
export const SERIF = '"Newsreader Variable", Georgia, "Times New Roman", serif';
const FLOATING = '0 8px 28px rgb(29 20 10 / 14%)';

export const overrides: Components<Theme> = {
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
};
