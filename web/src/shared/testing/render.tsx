import { configureStore, type Reducer } from '@reduxjs/toolkit';
import { render } from '@testing-library/react';
import type { ReactElement } from 'react';
import { Provider } from 'react-redux';
import { MemoryRouter } from '@/shared/lib/router';
import { afterEach, vi } from 'vitest';
import { freshApi } from '../api/freshness';
import type { CandidateOut, ImageOut } from '../api/generated';
import { liveReducer } from '../api/live';
import { toastsReducer } from '../ui/toasts';

// For component tests: the app's store, and a fake network whose answers have the generated types. The end-to-end
// tests cover the real server.

export interface Call {
  method: string;
  path: string;
  body: unknown;
}

interface Answer {
  status: number;
  body: unknown;
}

export function json<T>(body: T, status = 200): Answer {
  return { status, body };
}

export function problem(status: number, detail: string): Answer {
  return { status, body: { status, code: 'refused', title: '', detail } };
}

/** Fake the answers by "METHOD /path"; any other call fails the test. Returns the recorded calls. */
export function serve(answers: Record<string, Answer>): Call[] {
  const calls: Call[] = [];
  // Node's Request accepts neither relative URLs nor jsdom's AbortSignal.
  class LocalRequest extends Request {
    constructor(address: string | URL | Request, init?: RequestInit) {
      super(address instanceof Request ? address : new URL(address, location.origin), { ...init, signal: undefined });
    }
  }
  vi.stubGlobal('Request', LocalRequest);
  vi.stubGlobal('fetch', async (request: Request) => {
    const { pathname } = new URL(request.url);
    const text = await request.text();
    calls.push({ method: request.method, path: pathname, body: text ? (JSON.parse(text) as unknown) : null });
    const answer = answers[`${request.method} ${pathname}`];
    if (!answer) throw new Error(`no answer to ${request.method} ${pathname}`);
    const type = answer.status < 400 ? 'application/json' : 'application/problem+json';
    return new Response(answer.status === 204 ? null : JSON.stringify(answer.body), {
      status: answer.status,
      headers: { 'Content-Type': type },
    });
  });
  return calls;
}

vi.setConfig({ testTimeout: 30_000 }); // jsdom is slow on a busy machine
afterEach(() => vi.unstubAllGlobals());

/** Render inside a store and a router; returns the store. */
export function show(element: ReactElement, reducers: Record<string, Reducer> = {}, address = '/') {
  const store = configureStore({
    reducer: { [freshApi.reducerPath]: freshApi.reducer, live: liveReducer, toasts: toastsReducer, ...reducers },
    middleware: (defaults) => defaults().concat(freshApi.middleware),
  });
  const wrap = (child: ReactElement) => (
    <Provider store={store}>
      <MemoryRouter start={address}>{child}</MemoryRouter>
    </Provider>
  );
  const { rerender } = render(wrap(element));
  return { store, again: (child: ReactElement) => rerender(wrap(child)) };
}

export function imageOf(changes: Partial<ImageOut> = {}): ImageOut {
  return {
    id: 'image-1',
    caption: 'A cat on a mat.',
    caption_by: 'model',
    caption_model: 'cutline-base@1.0.0',
    width_px: 400,
    height_px: 300,
    urls: { thumbnail: { jpeg: '/files/cat.jpg' } },
    tags: [],
    visibility: 'private',
    moderation: 'none',
    job: null,
    mine: true,
    created_at: '2026-01-01T10:00:00Z',
    changed_at: '2026-01-01T10:00:00Z',
    file_name: 'cat.jpg',
    share_url: 'https://cutline.example.org/shared/secret',
    ...changes,
  };
}

export function candidateOf(changes: Partial<CandidateOut> = {}): CandidateOut {
  return {
    id: 'caption-1',
    text: 'A cat on a mat.',
    log_prob: -3,
    created_at: '2026-01-01T10:00:00Z',
    shown: false,
    has_attention: false,
    ...changes,
  };
}
