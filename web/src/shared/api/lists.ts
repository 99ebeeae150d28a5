import { api, type ListImagesApiArg, type PageImageOut } from './generated';

export type LibraryFilters = Pick<ListImagesApiArg, 'q' | 'tag' | 'visibility' | 'state' | 'order'>;
export type GalleryFilters = Pick<ListImagesApiArg, 'q' | 'tag'>;

const LIMIT = 60;

/** The URL of a page of a list. Empty filters are left out; multiple values are repeated. */
function pageUrl(path: string, filters: object, cursor: string | null): string {
  const params = new URLSearchParams({ limit: String(LIMIT) });
  for (const [name, value] of Object.entries(filters) as [string, string | string[] | undefined][]) {
    for (const each of [value ?? []].flat()) if (each) params.append(name, each);
  }
  if (cursor) params.set('cursor', cursor);
  return `${path}?${params.toString()}`;
}

const pages = {
  initialPageParam: null as string | null,
  getNextPageParam: (last: PageImageOut) => last.next ?? undefined,
};

/** Infinite lists, paginated by cursor. */
export const listsApi = api.injectEndpoints({
  endpoints: (build) => ({
    library: build.infiniteQuery<PageImageOut, LibraryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => pageUrl('/api/v1/images', queryArg, pageParam),
      providesTags: ['images'],
    }),
    gallery: build.infiniteQuery<PageImageOut, GalleryFilters, string | null>({
      infiniteQueryOptions: pages,
      query: ({ queryArg, pageParam }) => pageUrl('/api/v1/gallery', queryArg, pageParam),
      providesTags: ['gallery'],
    }),
  }),
});

export const { useLibraryInfiniteQuery, useGalleryInfiniteQuery } = listsApi;
