import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { neededBy } from './needs.ts';

/** Fail the build if the gzipped script that a page waits for exceeds its budget. */
export function scriptBudget({ page, maxBytes }: { page: string; maxBytes: number }): Plugin {
  return {
    name: 'script-budget',
    apply: 'build',
    generateBundle(_, bundle) {
      const bytes = neededBy(page, bundle).reduce((sum, chunk) => sum + gzipSync(chunk.code).length, 0);
      if (bytes > maxBytes) this.error(`${page} waits for ${bytes} bytes of gzipped script; its budget is ${maxBytes}`);
    },
  };
}
