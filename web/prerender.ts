import { createHash } from 'node:crypto';
import { createServer, type Plugin } from 'vite';
import { neededBy } from './needs.ts';
import type { Painted } from './src/app/prerender.tsx';

interface Renderer {
  prerender: (path: string, isFrame: boolean) => Promise<Painted>;
  failure: () => Promise<Pick<Painted, 'html' | 'css'>>;
}

export interface Prerendered {
  file: string; // where it is written
  path: string; // the address whose page is painted
  page: string; // the module whose code it waits for
}

// The words are English: those who read another language see them when the app has them in theirs.
const OTHERS = 'html:not([lang=en]) #root[inert]{visibility:hidden}';
// What is said when the code does not arrive stands over the page, in the reader's language.
const FAILED = [
  '#failed{position:fixed;inset:auto 0 0;padding:8px 24px;text-align:center;border-top:2px solid var(--mui-palette-primary-main)',
  ';background:var(--mui-palette-background-paper);color:var(--mui-palette-text-primary)}#failed button{font:inherit;padding:4px 16px}',
].join('');

/**
 * Write the pages that people come to first as they look before the app runs. The browser paints them at once,
 * and fetches what the app consists of meanwhile. A page of any other address is index.html's: the frame alone.
 */
export function prerender(pages: readonly Prerendered[]): Plugin {
  return {
    name: 'prerender',
    apply: 'build',
    enforce: 'post', // when index.html is there, and before all is compressed
    generateBundle: {
      async handler(_, bundle) {
        const index = bundle['index.html'];
        if (index?.type !== 'asset') this.error('there is no index.html');
        // One sheet for all that is painted first: the fonts' with the page's own.
        const link = /\s*<link rel="stylesheet"[^>]* href="\/(assets\/[^"]+\.css)">/.exec(String(index.source));
        const sheet = bundle[link?.[1] ?? ''];
        if (!link || sheet?.type !== 'asset') this.error('index.html has no style sheet');
        const fonts = Object.keys(bundle).filter((name) => /-latin-wght-normal-[\w-]+\.woff2$/.test(name));
        const frame = String(index.source).replace(link[0], '');
        Reflect.deleteProperty(bundle, sheet.fileName); // its rules stand in each page's own
        const { painted, failure } = await rendered(pages);
        for (const [{ file, page }, { html, css, names, globals }] of painted) {
          if (html.includes(' style="')) this.error(`${file}: the content security policy allows no style attributes`);
          const styles = `${String(sheet.source)}${css}${OTHERS}${FAILED}${failure.css}`;
          const name = `assets/${file.replace('.html', '')}-${createHash('sha256').update(styles).digest('base64url').slice(0, 8)}.css`;
          this.emitFile({ type: 'asset', fileName: name, source: styles });
          const head = [
            `<link rel="stylesheet" href="/${name}">`,
            // The sheet has these styles: so Emotion reads it, and does not make them anew.
            ...globals.map((name) => `<style data-emotion="css-global ${name}"></style>`),
            `<style data-emotion="css ${names.join(' ')}"></style>`,
            ...fonts.map((each) => `<link rel="preload" as="font" type="font/woff2" crossorigin href="/${each}">`),
            // Fetched once the page is painted, see boot.ts: until then it would only stand in the way.
            `<meta name="cutline:code" content="${neededBy(page, bundle).map(({ fileName }) => `/${fileName}`).join(' ')}">`,
          ];
          const source = frame
            .replace('</head>', `${head.join('\n    ')}\n  </head>`)
            .replace('<div id="root"></div>', `<div id="root" inert aria-hidden="true">${dead(html)}</div>\n    ${failure.html}`);
          if (file === 'index.html') index.source = source;
          else this.emitFile({ type: 'asset', fileName: file, source });
        }
      },
    },
  };
}

/** Nothing that is only painted takes a word or a file: whoever gave it would lose it. */
function dead(html: string): string {
  return html.replace(/<input[^>]*type="file"[^>]*>/g, '').replace(/<(input|button|textarea) /g, '<$1 disabled ');
}

async function rendered(pages: readonly Prerendered[]): Promise<{ painted: [Prerendered, Painted][]; failure: Awaited<ReturnType<Renderer['failure']>> }> {
  // What of a browser the app's modules look at. Node has a navigator of its own, that of whoever builds.
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
