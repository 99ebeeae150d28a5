import { lazy, type ComponentType } from 'react';

// Parts of pages that open on demand. Their code is prefetched at the first interaction, so that they also work
// offline.
const pending = new Set<() => Promise<unknown>>();
let isPrefetching = false;

/** Prefetch all parts, including those registered later. A failed one is retried when it is opened. */
export function prefetchParts(): void {
  isPrefetching = true;
  for (const load of pending) load().catch(() => undefined);
  pending.clear();
}

/** A lazily loaded part of a page; if opened offline, it waits for the connection. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- like React.lazy: any props
export function lazyPart<Part extends ComponentType<any>>(load: () => Promise<{ default: Part }>) {
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
  pending.add(load);
  if (isPrefetching) prefetchParts();
  return lazy(loadWithRetry);
}
