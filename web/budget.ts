import { gzipSync } from 'node:zlib';
import type { Plugin, Rolldown } from 'vite';

/** A build fails where the script that a page waits for, gzipped, grows beyond its budget. */
export function scriptBudget({ page, most }: { page: string; most: number }): Plugin {
  return {
    name: 'script-budget',
    apply: 'build',
    generateBundle(_, bundle) {
      const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
      const first = chunks.filter((each) => each.isEntry || each.facadeModuleId?.endsWith(page));
      if (!first.some((each) => !each.isEntry)) this.error(`${page} is not a chunk of its own: the budget cannot be checked`);
      const bytes = sizeOf(first, chunks);
      if (bytes > most) this.error(`${page} waits for ${bytes} bytes of gzipped script: its budget are ${most}`);
    },
  };
}

/** Of these chunks and of all that they import, each once. */
function sizeOf(first: Rolldown.OutputChunk[], all: Rolldown.OutputChunk[]): number {
  const byName = new Map(all.map((each) => [each.fileName, each]));
  const needed = new Set<Rolldown.OutputChunk>();
  const visit = (chunk: Rolldown.OutputChunk | undefined) => {
    if (!chunk || needed.has(chunk)) return;
    needed.add(chunk);
    for (const name of chunk.imports) visit(byName.get(name));
  };
  for (const chunk of first) visit(chunk);
  return [...needed].reduce((sum, chunk) => sum + gzipSync(chunk.code).length, 0);
}
