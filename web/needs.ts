import type { Rolldown } from 'vite';

// What boot.ts, the entry, loads in any case.
const EVERYWHERE = ['/app/theme.ts', '/app/store.ts', '/app/main.tsx', '/shared/i18n/index.ts'];

/** The script that a page waits for: what the app always loads, the page's own, and all that these import. */
export function neededBy(page: string, bundle: Rolldown.OutputBundle): Rolldown.OutputChunk[] {
  const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
  const byName = new Map(chunks.map((each) => [each.fileName, each]));
  const needed = new Set<Rolldown.OutputChunk>();
  const visit = (chunk: Rolldown.OutputChunk | undefined) => {
    if (!chunk || needed.has(chunk)) return;
    needed.add(chunk);
    for (const name of chunk.imports) visit(byName.get(name));
  };
  visit(chunks.find((each) => each.isEntry));
  for (const module of page ? [...EVERYWHERE, page] : EVERYWHERE) {
    const chunk = chunks.find((each) => each.moduleIds.some((id) => id.endsWith(module)));
    if (!chunk) throw new Error(`${module} is in no chunk`);
    visit(chunk);
  }
  return [...needed];
}
