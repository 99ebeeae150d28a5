import { beforeEach, describe, expect, it, vi } from 'vitest';
import { handOver, lastAccount, loadPending, rememberAccount, removeAll, savePending, type Sender, type Waiting } from './outbox';

// IndexedDB, which jsdom lacks, as far as idb-keyval is used here.
const kept = new Map<string, Waiting>();
vi.mock('idb-keyval', () => ({
  createStore: () => null,
  set: (id: string, waiting: Waiting) => Promise.resolve(void kept.set(id, waiting)),
  del: (id: string) => Promise.resolve(void kept.delete(id)),
  entries: () => Promise.resolve([...kept]),
}));

const ADA: Sender = { ownerId: 'ada', isSignedIn: true };
const BOB: Sender = { ownerId: 'bob', isSignedIn: true };
const VISITOR: Sender = { ownerId: 'visitor', isSignedIn: false };
const NEW: Sender = { ownerId: null, isSignedIn: false };

const waitingOf = (id: string, owner: string | null): Waiting => ({ id, name: id, file: null, url: 'https://example.org/', addedAt: Date.now(), owner, problem: null });
const idsOf = async (sender: Sender) => (await loadPending(sender)).map((each) => each.id);

describe('outbox', () => {
  beforeEach(async () => {
    kept.clear();
    localStorage.clear();
    for (const [id, owner] of [['a', 'ada'], ['b', 'bob'], ['v', 'visitor'], ['n', null]] as const) await savePending(waitingOf(id, owner));
  });

  it('gives each person their own photos alone', async () => {
    expect(await idsOf(ADA)).toEqual(['a']);
    expect(await idsOf(BOB)).toEqual(['b']);
    expect(await idsOf(VISITOR)).toEqual(['v']);
    expect(await idsOf(NEW)).toEqual(['n']);
    expect(await idsOf({ ownerId: null, isSignedIn: true })).toEqual([]);
  });

  it('gives nobody what earlier versions kept without an owner', async () => {
    kept.set('old', { ...waitingOf('old', null), owner: undefined } as unknown as Waiting);
    expect(await idsOf(NEW)).toEqual(['n']);
  });

  it('removes the photos of somebody who signs out, and what nobody comes back for', async () => {
    kept.set('old', { ...waitingOf('old', null), owner: undefined } as unknown as Waiting);
    kept.set('forgotten', { ...waitingOf('forgotten', 'bob'), addedAt: Date.now() - 31 * 24 * 3600_000 });
    await removeAll(ADA);
    expect([...kept.keys()]).toEqual(['b', 'v', 'n']);
  });

  it('hands over what an account claims', async () => {
    await handOver(VISITOR, BOB);
    expect(await idsOf(BOB)).toEqual(['b', 'v']);
    expect(await idsOf(VISITOR)).toEqual([]);
  });

  it('remembers the account of this browser', () => {
    expect(lastAccount()).toBeNull();
    rememberAccount(ADA);
    expect(lastAccount()).toBe('ada');
    rememberAccount(VISITOR);
    expect(lastAccount()).toBeNull();
  });
});
