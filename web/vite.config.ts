import react from '@vitejs/plugin-react';
import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

// The build lands inside the Python package: the server serves it, and a wheel contains it.
export default defineConfig({
  plugins: [react()],
  resolve: { alias: { '@': fileURLToPath(new URL('./src', import.meta.url)) } },
  build: {
    outDir: '../src/cutline/server/webapp',
    emptyOutDir: true,
    target: 'es2022',
    manifest: true,
    assetsInlineLimit: 0, // the content security policy allows no data: scripts or fonts
  },
  server: {
    port: 5173,
    proxy: Object.fromEntries(
      ['/api', '/files', '/_allauth', '/admin', '/accounts', '/static'].map((path) => [
        path,
        'http://127.0.0.1:8000',
      ]).concat([['/ws', { target: 'ws://127.0.0.1:8000', ws: true }] as never]),
    ),
  },
  test: {
    environment: 'jsdom',
    globals: true,
    setupFiles: ['./tests/setup.ts'],
    restoreMocks: true,
    coverage: { provider: 'v8', include: ['src/**'], exclude: ['src/shared/api/generated.ts'] },
  },
});
