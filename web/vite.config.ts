import react from '@vitejs/plugin-react';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { minify } from 'terser';
import type { Plugin } from 'vite';
import { compression, defineAlgorithm } from 'vite-plugin-compression2';
import { defineConfig } from 'vitest/config';
import { scriptBudget } from './budget.ts';
import { builtTheme } from './builtTheme.ts';
import { prerender } from './prerender.ts';

// The service that the development server proxies to.
const SERVICE = process.env.CUTLINE_URL ?? 'http://127.0.0.1:8000';
const PROXIED = ['/api', '/files', '/_allauth', '/admin', '/accounts', '/static'];

// Late fonts would shift the text: with `optional` they are used from the next page on.
const lateFontsWait: Plugin = {
  name: 'late-fonts-wait',
  enforce: 'pre',
  transform: (code, id) => (id.includes('/@fontsource') ? code.replaceAll('font-display: swap', 'font-display: optional') : null),
};

// MUI's default themes, made at load time. The app always provides its own, so skip this work and its code.
const noDefaultTheme: Plugin = {
  name: 'no-default-theme',
  apply: 'build',
  transform: (code, id) => (id.includes('/@mui/') ? code.replace(/(const \w*[dD]efaultTheme) = createTheme\(\);/, '$1 = {};') : null),
};

// Code that comes with MUI's buttons and with Emotion, and that the first page does not need: the ripple and the progress
// circle come later; nothing uses Emotion's `withTheme`, which hoists statics; and types hold attributes to HTML's.
const LATER: readonly [importer: RegExp, imported: RegExp, instead: string][] = [
  [/\/ButtonBase\/ButtonBase\.mjs$/, /\/TouchRipple\.mjs$/, './src/shared/ui/LateRipple.tsx'],
  [/\/(?:Icon)?Button\/(?:Icon)?Button\.mjs$/, /\/CircularProgress\/index\.mjs$/, './src/shared/ui/LateProgress.tsx'],
  [/\/@emotion\/react\//, /^hoist-non-react-statics$/, './src/shared/lib/noHoisting.ts'],
  [/\/@emotion\/styled\//, /^@emotion\/is-prop-valid$/, './src/shared/lib/isPropValid.ts'],
];
const later: Plugin = {
  name: 'later',
  apply: 'build',
  enforce: 'pre',
  resolveId(imported, importer = '') {
    const found = LATER.find(([from, what]) => from.test(importer) && what.test(imported));
    return found ? fileURLToPath(new URL(found[2], import.meta.url)) : null;
  },
};

// What each page has of Emotion and MUI, in one chunk.
const EVERY_PAGES_STYLES = new RegExp(
  [
    '/node_modules/(?:clsx|stylis|@emotion|@mui/(?:styled-engine|private-theming)|@mui/system/(?!useMediaQuery|colorManipulator))/',
    '/@mui/utils/(?:capitalize|ClassName|composeClasses|deepmerge|fastDeep|formatMui|generateUtility|isFocusVisible|isObjectEmpty|resolveProps|use(?:EnhancedEffect|EventCallback|ForkRef|Id|LazyRef)/)',
    '/@mui/material/(?:Box|Button|ButtonBase/(?:B|b|useB)|ButtonGroup/ButtonGroup.*Context|Container|DefaultProps|IconButton|Stack|SvgIcon|Typography|useLazyRipple|transitions/utils)',
    '/@mui/material/styles/(?:defaultTheme|focusVisible|identifier|reducedMotion|rootShould|slotShould|styled)',
    '/@mui/material/utils/(?:capitalize|createSimple|memoTheme|use(?:EventCallback|Focusable|ForkRef|Id))',
  ].join('|'),
);

// theme.js runs before the first paint: minify it.
const smallTheme: Plugin = {
  name: 'small-theme',
  apply: 'build',
  async generateBundle() {
    const { code } = await minify(await readFile(new URL('./public/theme.js', import.meta.url), 'utf8'));
    if (code) this.emitFile({ type: 'asset', fileName: 'theme.js', source: code });
  },
};

// The build goes into the Python package: the server serves it, and wheels contain it.
export default defineConfig({
  plugins: [
    react(),
    builtTheme(),
    lateFontsWait,
    noDefaultTheme,
    later,
    smallTheme,
    prerender([
      { file: 'index.html', path: '/about', page: '' },
      { file: 'home.html', path: '/', page: '/caption/CaptionPage.tsx' },
      { file: 'gallery.html', path: '/gallery', page: '/gallery/GalleryPage.tsx' },
      { file: 'library.html', path: '/library', page: '/library/LibraryPage.tsx' },
      { file: 'photo.html', path: '/images/0', page: '/photo/PhotoPage.tsx' },
    ]),
    // With theme.js and the page's messages, the first page stays below 150,000.
    scriptBudget({ page: '/caption/CaptionPage.tsx', maxBytes: 148_500 }),
    // Compress each file once, at the highest level; the server picks the encoding that the browser accepts.
    compression({
      include: /\.(?:js|css|svg|webmanifest)$/,
      algorithms: ['gzip', defineAlgorithm('brotliCompress')],
      skipIfLargerOrEqual: true,
      logLevel: 'silent',
    }),
  ],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: '../src/cutline/server/webapp',
    emptyOutDir: true,
    target: 'es2022',
    rolldownOptions: {
      output: {
        chunkFileNames: 'assets/[hash].js', // short, because chunk names appear in many other chunks
        // Small modules compress better together.
        codeSplitting: {
          groups: [
            { name: 'styles', test: EVERY_PAGES_STYLES },
            { name: 'tiny', test: /\/shared\/(?:lib\/(?:clipboard|dropped|newId|router|useOnce)|api\/polling|i18n\/(?:format|useTranslation)|ui\/Photo)\.tsx?$/ },
          ],
        },
      },
    },
    modulePreload: false, // boot.ts preloads what the first page needs
    cssCodeSplit: false, // the only CSS is the font rules, which every page needs
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or fonts
  },
  server: {
    port: 5173,
    proxy: {
      ...Object.fromEntries(PROXIED.map((path) => [path, { target: SERVICE, changeOrigin: true }])),
      '/ws': { target: SERVICE, ws: true, changeOrigin: true },
    },
  },
  test: {
    environment: 'jsdom',
    pool: 'vmThreads', // one jsdom for each worker: less than half the processor's time, and files still are apart
    globals: true,
    setupFiles: ['./tests/setup.ts'],
    restoreMocks: true,
    testTimeout: 300_000, // so long only what never ends takes, however busy the machine is
    hookTimeout: 300_000,
    coverage: { provider: 'v8', include: ['src/**'], exclude: ['src/**/generated.ts'] },
  },
});
