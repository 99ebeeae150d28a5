import { configureStore } from '@reduxjs/toolkit';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
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

function make(isKnown = () => true) {
  const store = configureStore({ reducer: { uploads: uploadsReducer } });
  const states = () => store.getState().uploads.items.map((each) => each.state);
  return { uploader: new Uploader(store.dispatch, isKnown), first: () => store.getState().uploads.items[0], states };
}

describe('Uploader', () => {
  beforeEach(() => {
    keys = [];
    vi.useFakeTimers();
    vi.stubGlobal('XMLHttpRequest', Request);
    vi.stubGlobal('indexedDB', undefined); // as in a private window: it must work without
    URL.createObjectURL = () => 'blob:photo';
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
    let isKnown = false;
    const { uploader, states } = make(() => isKnown);
    replies = ['image-1', 'image-2', 'image-3'].map((id) => ({ status: 202, data: { items: [{ id }] } }));
    uploader.add(['one', 'two', 'three'].map((name) => new File(['x'], `${name}.jpg`)));
    expect(states().filter((each) => each === 'sending')).toHaveLength(1);
    isKnown = true;
    await vi.advanceTimersByTimeAsync(1);
    expect(states()).toEqual(['sent', 'sent', 'sent']);
  });
});
