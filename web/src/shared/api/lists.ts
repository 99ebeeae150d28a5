import { api, type ListImagesApiArg, type PageImageOut } from './generated';

export type LibraryFilters = Pick<ListImagesApiArg, 'q' | 'tag' | 'visibility' | 'state' | 'order'>;
export type GalleryFilters = Pick<ListImagesApiArg, 'q' | 'tag'>;

const LIMIT = 60;

const pages = {
  initialPageParam: null as string | null,
  getNextPageParam: (last: PageImageOut) => last.next ?? undefined,
};

/** Infinite lists, paginated by cursor. */
export const listsApi = api.injectEndpoints({
  endpoints: (build) => ({
    library: build.infiniteQuery<PageImageOut, LibraryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => ({ url: '/api/v1/images', params: { limit: LIMIT, ...queryArg, cursor: pageParam } }),
      providesTags: ['images'],
    }),
    gallery: build.infiniteQuery<PageImageOut, GalleryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => ({ url: '/api/v1/gallery', params: { limit: LIMIT, ...queryArg, cursor: pageParam } }),
      providesTags: ['gallery'],
    }),
  }),
});

export const { useLibraryInfiniteQuery, useGalleryInfiniteQuery } = listsApi;
