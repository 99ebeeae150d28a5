import type { Rolldown } from 'vite';

// What boot.ts, the entry, always loads.
const ALWAYS_LOADED = ['/app/theme.ts', '/app/store.ts', '/app/main.tsx', '/shared/i18n/index.ts'];

/** The chunks that a page waits for, dependencies first: those the app always loads, plus the page's own. */
export function neededBy(page: string, bundle: Rolldown.OutputBundle): Rolldown.OutputChunk[] {
  const chunks = Object.values(bundle).filter((each) => each.type === 'chunk');
  const byName = new Map(chunks.map((each) => [each.fileName, each]));
  const seen = new Set<Rolldown.OutputChunk>();
  const needed: Rolldown.OutputChunk[] = [];
  const visit = (chunk: Rolldown.OutputChunk | undefined) => {
    if (!chunk || seen.has(chunk)) return;
    seen.add(chunk);
    for (const name of chunk.imports) visit(byName.get(name));
    needed.push(chunk);
  };
  visit(chunks.find((each) => each.isEntry));
  for (const module of page ? [...ALWAYS_LOADED, page] : ALWAYS_LOADED) {
    const chunk = chunks.find((each) => each.moduleIds.some((id) => id.endsWith(module)));
    if (!chunk) throw new Error(`${module} is in no chunk`);
    visit(chunk);
  }
  return needed;
}
