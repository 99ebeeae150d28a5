import { gzipSync } from 'node:zlib';
import type { Plugin } from 'vite';
import { neededBy } from './needs.ts';

/** A build fails where the script that a page waits for, gzipped, grows beyond its budget. */
export function scriptBudget({ page, most }: { page: string; most: number }): Plugin {
  return {
    name: 'script-budget',
    apply: 'build',
    generateBundle(_, bundle) {
      const bytes = neededBy(page, bundle).reduce((sum, chunk) => sum + gzipSync(chunk.code).length, 0);
      if (bytes > most) this.error(`${page} waits for ${bytes} bytes of gzipped script: its budget are ${most}`);
    },
  };
}
