import { api, type CandidateOut, type ImageOut, type SessionOut, type UrlsOut } from '@/shared/api/generated';
import { listsApi } from '@/shared/api/lists';
import { makeStore, type Store } from './store';

// Sample API data of another user's photo: rendering with it reveals which styles the pages need.
const ID = '0';
const TEXT = 'A photo.';
const FILES = { jpeg: '/0.jpeg', webp: '/0.webp', avif: '/0.avif' };
const URLS: UrlsOut = { thumbnail: FILES, large: FILES, master: FILES };
const TIME = '2000-01-01T00:00:00Z';

const IMAGE: ImageOut = {
  id: ID,
  caption: TEXT,
  caption_by: 'model',
  caption_model: 'model@1',
  width_px: 4,
  height_px: 3,
  placeholder: 'data:,',
  urls: URLS,
  tags: ['tag'],
  visibility: 'public',
  moderation: 'passed',
  mine: false,
  created_at: TIME,
  changed_at: TIME,
};
const SESSION: SessionOut = {
  viewer: { owner: null, user: null, role: 'user' },
  limits: {
    max_upload_bytes: 1,
    max_upload_files: 1,
    max_pixels: 1,
    max_bulk_bytes: 1,
    max_bulk_items: 1,
    max_images: 1,
    anonymous_days: 1,
    undo_s: 1,
  },
  providers: [],
  model: 'model@1',
  model_language: 'en',
};
const CANDIDATES: CandidateOut[] = [true, false].map((shown, rank) => ({
  id: String(rank),
  text: TEXT,
  log_prob: -1,
  rank,
  created_at: TIME,
  shown,
  has_attention: true,
}));

/** A store with the data of the first pages. */
export function sampleStore(): Store {
  const store = makeStore();
  const { upsertQueryEntries } = api.util;
  store.dispatch(
    upsertQueryEntries([
      { endpointName: 'getSession', arg: {}, value: SESSION },
      { endpointName: 'getImage', arg: { imageId: ID }, value: IMAGE },
      { endpointName: 'listCaptions', arg: { imageId: ID, styled: false, limit: 50 }, value: { items: CANDIDATES } },
      {
        endpointName: 'getAttention',
        arg: { captionId: '0' },
        value: { caption: ID, words: ['a', 'photo'], rows: 1, columns: 1, maps: [[255], [255]] },
      },
    ]),
  );
  store.dispatch(
    listsApi.util.upsertQueryEntries([
      { endpointName: 'gallery', arg: { q: '' }, value: { pages: [{ items: [IMAGE] }], pageParams: [null] } },
    ]),
  );
  return store;
}
