import { runnerImport, type Plugin } from 'vite';
import type * as Design from './src/app/design.tsx';

const DATA = 'virtual:theme';
const SHEET = 'virtual:theme.css';

/** Computes the theme at build time: `virtual:theme` is what src/app/theme.ts needs of it, `virtual:theme.css` its style sheet. */
export function builtTheme(): Plugin {
  let design: Promise<typeof Design> | undefined;
  const load = () => (design ??= runnerImport<typeof Design>('./src/app/design.tsx').then(({ module }) => module));
  return {
    name: 'built-theme',
    resolveId: (id) => (id === DATA || id === SHEET ? `/@${id}` : null),
    async load(id) {
      if (id === `/@${SHEET}`) return (await load()).sheet();
      if (id === `/@${DATA}`) return `export default ${JSON.stringify((await load()).computed())}`;
      return null;
    },
  };
}
