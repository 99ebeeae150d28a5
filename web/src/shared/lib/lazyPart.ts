import { lazy, type ComponentType } from 'react';

// Parts of pages that open on demand. Their code is prefetched: once the page is there, or at the first interaction, so
// that they also work offline.
export type Moment = 'page' | 'interaction';
const pending: Record<Moment, Set<() => Promise<unknown>>> = { page: new Set(), interaction: new Set() };
const reached = new Set<Moment>();

/** Prefetch all parts of a moment, including those registered later. A failed one is retried when it is opened. */
export function prefetchParts(moment: Moment): void {
  reached.add(moment);
  for (const load of pending[moment]) load().catch(() => undefined);
  pending[moment].clear();
}

/** A lazily loaded part of a page; if opened offline, it waits for the connection. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- like React.lazy: any props
export function lazyPart<Part extends ComponentType<any>>(load: () => Promise<{ default: Part }>, moment: Moment = 'interaction') {
  const loadWithRetry = async () => {
    for (;;) {
      try {
        return await load();
      } catch (error) {
        if (navigator.onLine) throw error; // online, so the chunk is gone
        await new Promise((resolve) => addEventListener('online', resolve, { once: true }));
      }
    }
  };
  pending[moment].add(load);
  if (reached.has(moment)) prefetchParts(moment);
  return lazy(loadWithRetry);
}
