// @vitest-environment node
// jsdom's Blob is none to Node's Response.
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { fetchEarly, takeEarly } from './early';

function answersWith(...answers: (() => Promise<Response>)[]) {
  const asked = vi.fn<(url: string, init: RequestInit) => Promise<Response>>();
  for (const answer of answers) asked.mockImplementationOnce(answer);
  vi.stubGlobal('fetch', asked);
  return asked;
}

const said = (words: string, status = 200) => () => Promise.resolve(new Response(words, { status }));

describe('early requests', () => {
  beforeEach(() => {
    vi.stubGlobal('location', new URL('https://captions.example/gallery'));
  });
  afterEach(() => {
    vi.unstubAllGlobals();
  });

  it('are answered once; the next request goes to the server', async () => {
    const asked = answersWith(said('{"role":"user"}'));
    void fetchEarly('/api/v1/session');
    const answer = await takeEarly(`${location.origin}/api/v1/session`);
    expect(await answer?.json()).toEqual({ role: 'user' });
    expect(takeEarly(`${location.origin}/api/v1/session`)).toBeNull();
    expect(asked).toHaveBeenCalledOnce();
  });

  it('send cookies and accept JSON, like the requests of the app', () => {
    const asked = answersWith(said('{}'));
    void fetchEarly('/api/v1/session');
    expect(asked.mock.calls[0]?.[1]).toMatchObject({ credentials: 'same-origin', headers: { Accept: 'application/json' } });
    void takeEarly('/api/v1/session');
  });

  it('can be read by the sender and still be taken', async () => {
    answersWith(said('{"items":[]}'));
    const own = await fetchEarly('/api/v1/gallery?limit=60');
    expect(await own.clone().json()).toEqual({ items: [] });
    const taken = await takeEarly('/api/v1/gallery?limit=60');
    expect(await taken?.json()).toEqual({ items: [] });
  });

  it('keep error responses, with status and body', async () => {
    answersWith(said('{"title":"Not found"}', 404));
    void fetchEarly('/api/v1/images/0');
    const answer = await takeEarly('/api/v1/images/0');
    expect(answer?.status).toBe(404);
    expect(await answer?.json()).toEqual({ title: 'Not found' });
  });

  it('reject only for whoever takes them', async () => {
    const unhandled = vi.fn();
    process.on('unhandledRejection', unhandled);
    answersWith(() => Promise.reject(new TypeError('no connection')), () => Promise.reject(new TypeError('no connection')));
    void fetchEarly('/api/v1/session').catch(() => undefined);
    void fetchEarly('/api/v1/images/1').catch(() => undefined); // nobody takes this one
    await expect(takeEarly('/api/v1/session')).rejects.toThrow('no connection');
    expect(takeEarly('/api/v1/session')).toBeNull(); // the next one asks the server
    await new Promise((resolve) => setTimeout(resolve));
    process.off('unhandledRejection', unhandled);
    expect(unhandled).not.toHaveBeenCalled();
    await expect(takeEarly('/api/v1/images/1')).rejects.toThrow('no connection');
  });

  it('are distinct for different query strings', async () => {
    answersWith(said('first'), said('second'));
    void fetchEarly('/api/v1/gallery?limit=60');
    void fetchEarly('/api/v1/gallery?limit=60&q=cat');
    expect(takeEarly('/api/v1/gallery')).toBeNull();
    expect(takeEarly('/api/v1/gallery?limit=60&q=dog')).toBeNull();
    expect(await (await takeEarly('/api/v1/gallery?limit=60&q=cat'))?.text()).toBe('second');
    expect(await (await takeEarly('/api/v1/gallery?limit=60'))?.text()).toBe('first');
  });
});
