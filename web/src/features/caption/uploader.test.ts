import { configureStore } from '@reduxjs/toolkit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { Sender } from './outbox';
import { Uploader } from './uploader';
import { uploadsReducer } from './uploads';

// What the network answers, in turn; and what was sent.
interface Reply {
  status: number;
  data?: unknown;
}
let replies: Reply[] = [];
let keys: string[] = [];

class Request {
  upload = {};
  status = 0;
  response: unknown = null;
  responseType = '';
  onload: () => void = () => undefined;
  onerror: () => void = () => undefined;
  open = () => undefined;
  abort = () => undefined;
  getResponseHeader = () => null;
  setRequestHeader(name: string, value: string) {
    if (name === 'Idempotency-Key') keys.push(value);
  }
  send() {
    const reply = replies.shift() ?? { status: 0 };
    queueMicrotask(() => {
      this.status = reply.status;
      this.response = reply.data ?? null;
      if (reply.status === 0) this.onerror();
      else this.onload();
    });
  }
}

const VISITOR: Sender = { ownerId: 'visitor', isSignedIn: false };

function make(current: () => Sender | undefined = () => VISITOR) {
  const store = configureStore({ reducer: { uploads: uploadsReducer } });
  const states = () => store.getState().uploads.items.map((each) => each.state);
  return { uploader: new Uploader(store.dispatch, current), first: () => store.getState().uploads.items[0], states };
}

describe('Uploader', () => {
  beforeEach(() => {
    keys = [];
    vi.useFakeTimers();
    vi.stubGlobal('XMLHttpRequest', Request);
    vi.stubGlobal('indexedDB', undefined); // as in a private window: it must work without
    URL.createObjectURL = () => 'blob:photo';
    URL.revokeObjectURL = () => undefined;
    localStorage.clear();
  });
  afterEach(() => {
    vi.useRealTimers();
    vi.unstubAllGlobals();
  });

  it('retries an upload without an answer, with the same key', async () => {
    replies = [{ status: 0 }, { status: 503 }, { status: 202, data: { items: [{ id: 'image-1' }] } }];
    const { uploader, first } = make();
    uploader.add([new File(['x'], 'cat.jpg')]);
    await vi.advanceTimersByTimeAsync(1);
    expect(first()).toMatchObject({ state: 'waiting', problem: { status: 0 } });
    await vi.advanceTimersByTimeAsync(11_000);
    expect(first()).toMatchObject({ state: 'sent', image: 'image-1' });
    expect(keys).toHaveLength(3);
    expect(new Set(keys).size).toBe(1);
  });

  it('retries while an earlier attempt is still in progress', async () => {
    replies = [{ status: 0 }, { status: 409, data: { code: 'idempotency_key_in_use' } }, { status: 202, data: { items: [{ id: 'image-1' }] } }];
    const { uploader, first } = make();
    uploader.add([new File(['x'], 'cat.jpg')]);
    await vi.advanceTimersByTimeAsync(5_001);
    expect(first()).toMatchObject({ state: 'waiting', problem: null });
    await vi.advanceTimersByTimeAsync(6_000);
    expect(first()).toMatchObject({ state: 'sent', image: 'image-1' });
    expect(new Set(keys).size).toBe(1);
  });

  it('does not retry what was refused', async () => {
    replies = [{ status: 422, data: { items: [{ id: null, error: { code: 'not_image', message: 'No image.' } }] } }];
    const { uploader, first } = make();
    uploader.add([new File(['x'], 'notes.jpg')]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(first()).toMatchObject({ state: 'failed', problem: { detail: 'No image.' } });
    expect(keys).toHaveLength(1);
  });

  it('sends only one photo until its answer has set the session', async () => {
    let sender: Sender = { ownerId: null, isSignedIn: false };
    const { uploader, states } = make(() => sender);
    replies = ['image-1', 'image-2', 'image-3'].map((id) => ({ status: 202, data: { items: [{ id }] } }));
    uploader.add(['one', 'two', 'three'].map((name) => new File(['x'], `${name}.jpg`)));
    expect(states().filter((each) => each === 'sending')).toHaveLength(1);
    sender = VISITOR;
    await vi.advanceTimersByTimeAsync(1);
    expect(states()).toEqual(['sent', 'sent', 'sent']);
  });

  it('sends nothing while it is not known who uses this browser', async () => {
    const seen: { sender?: Sender } = {};
    const { uploader, first } = make(() => seen.sender);
    replies = [{ status: 202, data: { items: [{ id: 'image-1' }] } }];
    let changed: () => void = () => undefined;
    const stop = uploader.start((listener) => {
      changed = listener;
      return () => undefined;
    });
    uploader.add([new File(['x'], 'cat.jpg')]);
    await vi.advanceTimersByTimeAsync(60_000);
    expect(keys).toHaveLength(0);
    seen.sender = VISITOR;
    changed();
    await vi.advanceTimersByTimeAsync(1);
    expect(first()).toMatchObject({ state: 'sent', image: 'image-1' });
    stop();
  });

  it('sends no photo of an account that was left, and shows none', async () => {
    let sender: Sender = { ownerId: 'ada', isSignedIn: true };
    const { uploader, states } = make(() => sender);
    replies = [{ status: 202, data: { items: [{ id: 'image-1' }] } }, { status: 503 }];
    uploader.add(['one', 'two'].map((name) => new File(['x'], `${name}.jpg`)));
    await vi.advanceTimersByTimeAsync(1);
    expect(states().sort()).toEqual(['sent', 'waiting']);
    sender = { ownerId: 'bob', isSignedIn: true };
    await vi.advanceTimersByTimeAsync(60_000);
    expect(states()).toEqual([]);
    expect(keys).toHaveLength(2);
  });

  it('goes on with an account that claims what was made without one', async () => {
    let sender: Sender = { ...VISITOR };
    const { uploader, first } = make(() => sender);
    replies = [{ status: 503 }, { status: 202, data: { items: [{ id: 'image-1' }] } }];
    uploader.add([new File(['x'], 'cat.jpg')]);
    await vi.advanceTimersByTimeAsync(1);
    sender = { ownerId: 'ada', isSignedIn: true };
    await vi.advanceTimersByTimeAsync(10_000);
    expect(first()).toMatchObject({ state: 'sent', image: 'image-1' });
  });
});
