import { configureStore } from '@reduxjs/toolkit';
import { expect, it, vi } from 'vitest';
import { freshApi } from '../api/freshness';
import { json, serve } from '../testing/render';
import { likenessApi } from './generated';

it('asks for each of several tags, and for nothing that is empty', async () => {
  serve({ 'GET /api/v1/images/search': json({ items: [], reason: '' }) });
  const asked = vi.fn(fetch);
  vi.stubGlobal('fetch', asked);
  const store = configureStore({
    reducer: { [freshApi.reducerPath]: freshApi.reducer },
    middleware: (defaults) => defaults().concat(freshApi.middleware),
  });
  const { searchImages } = likenessApi.endpoints;
  await store.dispatch(searchImages.initiate({ q: 'dog', tag: ['a,b', 'c'], visibility: undefined, limit: 5 }, { subscribe: false }));
  await store.dispatch(searchImages.initiate({ q: 'cat', tag: [] }, { subscribe: false }));
  const queries = asked.mock.calls.map(([request]) => new URL((request as Request).url).search);
  expect(queries).toEqual(['?q=dog&tag=a%2Cb&tag=c&limit=5', '?q=cat']);
});
