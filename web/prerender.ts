import { createHash } from 'node:crypto';
import { createServer, type Plugin } from 'vite';
import { neededBy } from './needs.ts';
import type { Painted } from './src/app/prerender.tsx';

interface Renderer {
  prerender: (path: string, isFrame: boolean) => Promise<Painted>;
  failure: () => Promise<Pick<Painted, 'html' | 'css'>>;
}

export interface Prerendered {
  file: string; // the file to write
  path: string; // the path to render
  page: string; // the module whose code the page waits for
}

// The prerendered text is English; it stays hidden for other languages until the app renders.
const HIDE_OTHER_LANGUAGES = 'html:not([lang=en]) #root[inert]{visibility:hidden}';
// The message shown at the bottom of the page, in the reader's language, when the code fails to load.
const FAILURE_STYLES = [
  '#failed{position:fixed;inset:auto 0 0;padding:8px 24px;text-align:center;border-top:2px solid var(--mui-palette-primary-main)',
  ';background:var(--mui-palette-background-paper);color:var(--mui-palette-text-primary)}#failed button{font:inherit;padding:4px 16px}',
].join('');

/**
 * Prerender the main landing pages, so that the browser can paint them at once while it fetches the app.
 * All other paths get index.html, which has only the layout.
 */
export function prerender(pages: readonly Prerendered[]): Plugin {
  return {
    name: 'prerender',
    apply: 'build',
    enforce: 'post', // after index.html is written, before compression
    generateBundle: {
      async handler(_, bundle) {
        const index = bundle['index.html'];
        if (index?.type !== 'asset') this.error('there is no index.html');
        // One style sheet per page: the font rules and the page's own styles.
        const link = /\s*<link rel="stylesheet"[^>]* href="\/(assets\/[^"]+\.css)">/.exec(String(index.source));
        const sheet = bundle[link?.[1] ?? ''];
        if (!link || sheet?.type !== 'asset') this.error('index.html has no style sheet');
        const fonts = Object.keys(bundle).filter((name) => /-latin-wght-normal-[\w-]+\.woff2$/.test(name));
        const frame = String(index.source).replace(link[0], '');
        Reflect.deleteProperty(bundle, sheet.fileName); // its rules are inlined in each page's sheet
        const { painted, failure } = await renderPages(pages);
        for (const [{ file, page }, { html, css, names }] of painted) {
          if (html.includes(' style="')) this.error(`${file}: the content security policy allows no style attributes`);
          const styles = `${String(sheet.source)}${css}${HIDE_OTHER_LANGUAGES}${FAILURE_STYLES}${failure.css}`;
          const name = `assets/${file.replace('.html', '')}-${createHash('sha256').update(styles).digest('base64url').slice(0, 8)}.css`;
          this.emitFile({ type: 'asset', fileName: name, source: styles });
          const head = [
            `<link rel="stylesheet" href="/${name}">`,
            // Tell Emotion which styles the sheet already has, so that it does not insert them again.
            `<style data-emotion="css ${names.join(' ')}"></style>`,
            ...fonts.map((each) => `<link rel="preload" as="font" type="font/woff2" crossorigin href="/${each}">`),
            // Fetched after the first paint (see boot.ts), so that it does not delay it.
            `<meta name="cutline:code" content="${neededBy(page, bundle).map(({ fileName }) => `/${fileName}`).join(' ')}">`,
          ];
          const source = frame
            .replace('</head>', `${head.join('\n    ')}\n  </head>`)
            .replace('<div id="root"></div>', `<div id="root" inert aria-hidden="true">${disableControls(html)}</div>\n    ${failure.html}`);
          if (file === 'index.html') index.source = source;
          else this.emitFile({ type: 'asset', fileName: file, source });
        }
      },
    },
  };
}

/** Disable the prerendered controls: anything entered before the app runs would be lost. */
function disableControls(html: string): string {
  return html.replace(/<input[^>]*type="file"[^>]*>/g, '').replace(/<(input|button|textarea) /g, '<$1 disabled ');
}

async function renderPages(pages: readonly Prerendered[]): Promise<{ painted: [Prerendered, Painted][]; failure: Awaited<ReturnType<Renderer['failure']>> }> {
  // The browser globals that the app's modules read. Node has its own `navigator`, which would reflect the build machine.
  const browser = {
    location: new URL('http://localhost/'),
    navigator: { languages: ['en'], onLine: true },
    innerWidth: 800,
    innerHeight: 600,
    scrollY: 0,
  };
  const before = Object.keys(browser).map((name) => [name, Object.getOwnPropertyDescriptor(globalThis, name)] as const);
  for (const [name, value] of Object.entries(browser)) Object.defineProperty(globalThis, name, { value, configurable: true });
  const server = await createServer({
    server: { middlewareMode: true, ws: false, watch: null },
    appType: 'custom',
    logLevel: 'error',
    optimizeDeps: { noDiscovery: true, include: [] },
  });
  try {
    const { prerender, failure } = (await server.ssrLoadModule('/src/app/prerender.tsx')) as Renderer;
    const painted: [Prerendered, Painted][] = [];
    for (const page of pages) painted.push([page, await prerender(page.path, page.page === '')]);
    return { painted, failure: await failure() };
  } finally {
    await server.close();
    for (const [name, own] of before) {
      if (own) Object.defineProperty(globalThis, name, own);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}
