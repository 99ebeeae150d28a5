import { api, type ListGalleryApiArg, type ListImagesApiArg, type PageImageOut } from './generated';

export type LibraryFilters = Pick<ListImagesApiArg, 'q' | 'tag' | 'visibility' | 'state' | 'order'>;
export type GalleryFilters = Pick<ListGalleryApiArg, 'q' | 'tag'>;

const LIMIT = 60;

/** What is not set is left out of the address. */
function params(filters: object, cursor: string | null): Record<string, unknown> {
  const given = Object.entries(filters).filter(([, value]) => value !== undefined && value !== '');
  return { ...Object.fromEntries(given), limit: LIMIT, ...(cursor ? { cursor } : {}) };
}

const pages = {
  initialPageParam: null as string | null,
  getNextPageParam: (last: PageImageOut) => last.next ?? undefined,
};

/** Lists that go on: a page after the other, by cursor. */
const listsApi = api.injectEndpoints({
  endpoints: (build) => ({
    library: build.infiniteQuery<PageImageOut, LibraryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => ({ url: '/api/v1/images', params: params(queryArg, pageParam) }),
      providesTags: ['images'],
    }),
    gallery: build.infiniteQuery<PageImageOut, GalleryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => ({ url: '/api/v1/gallery', params: params(queryArg, pageParam) }),
      providesTags: ['gallery'],
    }),
  }),
});

export const { useLibraryInfiniteQuery, useGalleryInfiniteQuery } = listsApi;
