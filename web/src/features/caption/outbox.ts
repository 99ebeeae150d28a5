import type { Problem } from '@/shared/api/problem';
import { createStore, del, entries, set } from 'idb-keyval';

/** A pending upload: the photo itself, or the URL that the server should fetch. */
export interface Waiting {
  id: string;
  name: string;
  file: Blob | null;
  url: string | null;
  addedAt: number;
  /** Whose it is: an owner of the API; null for somebody without an account who has sent nothing yet. */
  owner: string | null;
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

/** Who uses this browser, as far as uploads go. */
export interface Sender {
  ownerId: string | null;
  isSignedIn: boolean;
}

/** Whether a pending upload may be shown to and sent by this person. Photos of an account never go elsewhere. */
export function belongsTo(waiting: Waiting, sender: Sender): boolean {
  return waiting.owner === sender.ownerId && !(waiting.owner === null && sender.isSignedIn);
}

const ACCOUNT = 'cutline-account';

/** Remember whose account this browser is signed in to, for photos that are added before the session is loaded. */
export function rememberAccount({ ownerId, isSignedIn }: Sender): void {
  try {
    localStorage.setItem(ACCOUNT, (isSignedIn && ownerId) || '');
  } catch {
    // Storage may be blocked: such photos then count as those of somebody without an account.
  }
}

export function lastAccount(): string | null {
  try {
    return localStorage.getItem(ACCOUNT) || null;
  } catch {
    return null;
  }
}

export function savePending(waiting: Waiting): Promise<void> {
  return attempt(() => set(waiting.id, waiting, store()), undefined);
}

export function removePending(id: string): Promise<void> {
  return attempt(() => del(id, store()), undefined);
}

async function loadAll(): Promise<Waiting[]> {
  return (await attempt(() => entries<string, Waiting>(store()), [])).map(([, waiting]) => waiting);
}

/** The pending uploads of earlier visits that belong to this person, oldest first. */
export async function loadPending(sender: Sender): Promise<Waiting[]> {
  return (await loadAll()).filter((waiting) => belongsTo(waiting, sender)).sort((one, other) => one.addedAt - other.addedAt);
}

/** Give a person's pending uploads to another owner, as an account claims what was made without one. */
export async function handOver(from: Sender, to: Sender): Promise<void> {
  for (const waiting of await loadPending(from)) await savePending({ ...waiting, owner: to.ownerId });
}

const KEPT_MS = 30 * 24 * 3600_000; // as long as a session: then nobody comes back for it

/** Remove a person's pending uploads: they signed out. Old ones go, too, and those that say no owner. */
export async function removeAll(sender: Sender): Promise<void> {
  const isLost = (waiting: Partial<Waiting>) => waiting.owner === undefined || (waiting.addedAt ?? 0) < Date.now() - KEPT_MS;
  const gone = [...(await loadPending(sender)), ...(await loadAll()).filter(isLost)];
  for (const waiting of gone) await removePending(waiting.id);
}
