import type { Problem } from '@/shared/api/problem';
import { createStore, del, entries, set } from 'idb-keyval';

/** What waits to be sent: the photo itself, or the address that the server shall fetch. */
export interface Waiting {
  id: string;
  name: string;
  file: Blob | null;
  url: string | null;
  addedAt: number;
  problem: Problem | null; // why the server refused it: it is sent again only on request
}

const store = () => createStore('cutline-outbox', 'photos');

// Private windows may forbid the database: uploads then work, but do not survive a reload.
async function attempt<T>(action: () => Promise<T>, otherwise: T): Promise<T> {
  try {
    return await action();
  } catch {
    return otherwise;
  }
}

export function keep(waiting: Waiting): Promise<void> {
  return attempt(() => set(waiting.id, waiting, store()), undefined);
}

export function forget(id: string): Promise<void> {
  return attempt(() => del(id, store()), undefined);
}

/** What an earlier visit left, oldest first. */
export async function left(): Promise<Waiting[]> {
  const found = await attempt(() => entries<string, Waiting>(store()), []);
  return found.map(([, waiting]) => waiting).sort((one, other) => one.addedAt - other.addedAt);
}
