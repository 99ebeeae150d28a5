import type { Problem } from '@/shared/api/problem';
import { createStore, del, entries, set } from 'idb-keyval';

/** A pending upload: the photo itself, or the URL that the server should fetch. */
export interface Waiting {
  id: string;
  name: string;
  file: Blob | null;
  url: string | null;
  addedAt: number;
  problem: Problem | null; // why the server refused it; it is retried only on request
}

const store = () => createStore('cutline-outbox', 'photos');

// IndexedDB may be blocked in private windows: uploads then work, but do not survive a reload.
async function attempt<T>(action: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await action();
  } catch {
    return otherwise;
  }
}

export function savePending(waiting: Waiting): Promise<void> {
  return attempt(() => set(waiting.id, waiting, store()), undefined);
}

export function removePending(id: string): Promise<void> {
  return attempt(() => del(id, store()), undefined);
}

/** The pending uploads of earlier visits, oldest first. */
export async function loadPending(): Promise<Waiting[]> {
  const found = await attempt(() => entries<string, Waiting>(store()), []);
  return found.map(([, waiting]) => waiting).sort((one, other) => one.addedAt - other.addedAt);
}
