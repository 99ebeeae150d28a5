import { createBreakpoints, createSpacing, cssContainerQueries } from '@mui/system';
import { createUnarySpacing } from '@mui/system/spacing';
import styleFunctionSx, { unstable_defaultSxConfig } from '@mui/system/styleFunctionSx';
import type { Theme } from '@mui/material/styles';
import computed from 'virtual:theme';
import { overrides } from './overrides';
import type { Names } from './design';

// The theme of design.tsx, for the browser. Every colour is a CSS variable, whose values are in the style sheet: so what
// MUI computes of them, it computes at build time. The functions here give what those of MUI give (theme.test.ts).

type Variables = string | Variables[] | { [part: string]: Variables };

function variables(names: Names, name = '--mui'): Variables {
  if (names === 0) return `var(${name})`;
  if (Array.isArray(names)) return names.map((each, place) => variables(each, `${name}-${place}`));
  return Object.fromEntries(Object.entries(names).map(([part, below]) => [part, variables(below, `${name}-${part}`)]));
}

const percent = (part: number | string) => `calc((${part}) * 100%)`;
const mixed = (color: string, other: string, part: number | string) => `color-mix(in srgb, ${color}, ${other} ${percent(part)})`;

const manipulators: Pick<Theme, 'alpha' | 'lighten' | 'darken'> = {
  alpha: (color, part) => {
    const opacity = typeof part === 'string' ? `calc(${part})` : part;
    if (color.startsWith('var(')) return `rgba(${color.replace(/\)$/, 'Channel)')} / ${opacity})`;
    return `color-mix(in srgb, ${color} ${percent(part)}, transparent)`;
  },
  lighten: (color, part) => mixed(color, '#fff', part),
  darken: (color, part) => mixed(color, '#000', part),
};

const vars = variables(computed.names) as { [part: string]: object };
const { easing, duration } = computed.transitions;
const ms = (time: number | string) => (typeof time === 'number' ? `${Math.round(time)}ms` : time);

export const theme = cssContainerQueries({
  ...computed,
  ...manipulators,
  vars,
  shadows: vars.shadows,
  opacity: vars.opacity,
  palette: { ...vars.palette, mode: 'light' },
  components: overrides,
  direction: 'ltr',
  breakpoints: createBreakpoints({}),
  spacing: createSpacing(8, createUnarySpacing({ vars, spacing: vars.spacing } as never)),
  typography: { ...computed.typography, pxToRem: (px: number) => `${px / computed.typography.htmlFontSize}rem` },
  transitions: {
    ...computed.transitions,
    create: (properties: string | string[] = 'all', options: { duration?: number | string; easing?: string; delay?: number | string } = {}) =>
      [properties]
        .flat()
        .map((each) => `${each} ${ms(options.duration ?? duration.standard)} ${options.easing ?? easing.easeInOut} ${ms(options.delay ?? 0)}`)
        .join(','),
    // As long as MUI's: https://www.desmos.com/calculator/vbrp3ggqet
    getAutoHeightDuration: (height: number) => {
      const constant = height / 36;
      return height ? Math.min(Math.round((4 + 15 * constant ** 0.25 + constant / 5) * 10), 3000) : 0;
    },
  },
  applyStyles: (scheme: string, styles: object) => ({ [`*:where([data-theme="${scheme}"]) &`]: styles }),
  unstable_sxConfig: unstable_defaultSxConfig,
  unstable_sx(sx: object) {
    return styleFunctionSx({ sx, theme: this } as never);
  },
  internal_cache: {},
} as never) as unknown as Theme;
