import react from '@vitejs/plugin-react';
import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { minify } from 'terser';
import type { Plugin } from 'vite';
import { compression, defineAlgorithm } from 'vite-plugin-compression2';
import { defineConfig } from 'vitest/config';
import { scriptBudget } from './budget.ts';
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

// MUI's default theme, made at load time. The app always provides its own, so skip this work.
const noDefaultTheme: Plugin = {
  name: 'no-default-theme',
  apply: 'build',
  transform: (code, id) => (id.includes('/@mui/material/') ? code.replace('const defaultTheme = createTheme();', 'const defaultTheme = {};') : null),
};

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
    lateFontsWait,
    noDefaultTheme,
    smallTheme,
    prerender([
      { file: 'index.html', path: '/about', page: '' },
      { file: 'home.html', path: '/', page: '/caption/CaptionPage.tsx' },
      { file: 'gallery.html', path: '/gallery', page: '/gallery/GalleryPage.tsx' },
      { file: 'library.html', path: '/library', page: '/library/LibraryPage.tsx' },
      { file: 'photo.html', path: '/images/0', page: '/photo/PhotoPage.tsx' },
    ]),
    // With theme.js and the page's messages, the first page stays below 180,000.
    scriptBudget({ page: '/caption/CaptionPage.tsx', maxBytes: 175_000 }),
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
    minify: 'terser', // one per cent smaller
    terserOptions: { ecma: 2020, compress: { passes: 2 } },
    rolldownOptions: {
      output: {
        chunkFileNames: 'assets/[hash].js', // short, because chunk names appear in many other chunks
        // Tiny modules compress better together.
        codeSplitting: { groups: [{ name: 'tiny', test: /\/shared\/(?:lib\/(?:clipboard|dropped|newId)|api\/polling|lib\/useOnce)\.ts$/ }] },
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
    globals: true,
    setupFiles: ['./tests/setup.ts'],
    restoreMocks: true,
    testTimeout: 300_000, // so long only what never ends takes, however busy the machine is
    hookTimeout: 300_000,
    coverage: { provider: 'v8', include: ['src/**'], exclude: ['src/**/generated.ts'] },
  },
});
