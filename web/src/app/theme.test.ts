// @vitest-environment node
import { describe, expect, it } from 'vitest';
import { design, provided, sheet } from './design';
import { theme } from './theme';

const wanted = { ...provided(), components: { ...design.components, MuiCssBaseline: undefined } };

const names = (values: object): string[] =>
  Object.values(values).flatMap((value: unknown) => (typeof value === 'object' && value ? names(value) : [/^var\((--[\w-]+)\)$/.exec(String(value))?.[1] ?? String(value)]));

describe("the browser's theme", () => {
  it('names the variables of the design, and the sheet has them all', () => {
    expect(theme.vars).toEqual(wanted.vars);
    const css = sheet();
    for (const name of names(theme.vars as object)) expect(css).toContain(`${name}:`);
  });

  it.each(['typography', 'motion', 'mixins', 'zIndex', 'shape', 'breakpoints', 'components', 'transitions', 'unstable_sxConfig'] as const)('has the %s of the design', (part) => {
    expect(JSON.stringify(theme[part as keyof typeof theme])).toEqual(JSON.stringify(wanted[part as keyof typeof wanted]));
  });

  it.each<(given: typeof wanted) => unknown>([
    ({ spacing }) => [spacing(2), spacing(1, 'auto'), spacing(0), spacing(-1)],
    ({ breakpoints: { up, down, between, only, not } }) => [up('md'), down('sm'), between('sm', 'lg'), only('xs'), not('md')],
    ({ typography: { pxToRem } }) => [pxToRem(13), pxToRem(16)],
    ({ transitions: { create } }) => [create('color'), create(['top', 'left'], { duration: 90, delay: 20 }), create('all', { duration: '1s', easing: 'linear' })],
    ({ transitions: { getAutoHeightDuration } }) => [getAutoHeightDuration(120), getAutoHeightDuration(0), getAutoHeightDuration(9000)],
    (given) => given.applyStyles('dark', { color: 'red' }),
    (given) => given.containerQueries.up('md'),
    (given) => given.alpha(given.vars.palette.primary.main, 0.5),
    (given) => given.alpha(given.vars.palette.text.primary, `${given.vars.palette.action.hoverOpacity} + 0.1`),
    (given) => given.unstable_sx({ p: 2, mx: -1, color: 'primary.main', borderRadius: 2, boxShadow: 3, typography: 'h3', display: { xs: 'none', md: 'flex' }, zIndex: 'appBar' }),
  ])('computes what the design computes (%#)', (asked) => {
    expect(asked(theme as typeof wanted)).toEqual(asked(wanted));
  });
});
