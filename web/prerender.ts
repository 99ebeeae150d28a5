import { createHash } from 'node:crypto';
import { createServer, type Plugin } from 'vite';
import { neededBy } from './needs.ts';
import type { Painted } from './src/app/prerender.tsx';

type Prerender = (path: string, isFrame: boolean) => Promise<Painted>;

export interface Prerendered {
  file: string; // where it is written
  path: string; // the address whose page is painted
  page: string; // the module whose code it waits for
}

// The words are English: those who read another language see them when the app has them in theirs.
const OTHERS = 'html:not([lang=en]) #root[inert]{visibility:hidden}';

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
        for (const [{ file, page }, { html, css, names, globals }] of await rendered(pages)) {
          if (html.includes(' style="')) this.error(`${file}: the content security policy allows no style attributes`);
          const styles = `${String(sheet.source)}${css}${OTHERS}`;
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
            .replace('<div id="root"></div>', `<div id="root" inert aria-hidden="true">${dead(html)}</div>`);
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

async function rendered(pages: readonly Prerendered[]): Promise<[Prerendered, Painted][]> {
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
    const { prerender } = (await server.ssrLoadModule('/src/app/prerender.tsx')) as { prerender: Prerender };
    const found: [Prerendered, Painted][] = [];
    for (const page of pages) found.push([page, await prerender(page.path, page.page === '')]);
    return found;
  } finally {
    await server.close();
    for (const [name, own] of before) {
      if (own) Object.defineProperty(globalThis, name, own);
      else Reflect.deleteProperty(globalThis, name);
    }
  }
}
