import { baseApi } from './base';

// The session as the app needs it. Its raw form is the generated client's.
export interface Viewer {
  ownerId: string | null;
  isSignedIn: boolean;
  isStaff: boolean;
  email: string | null;
}

interface SessionAnswer {
  viewer: { owner: string | null; user: string | null; role: string; email: string | null };
}

const sessionApi = baseApi.enhanceEndpoints({ addTagTypes: ['session'] }).injectEndpoints({
  endpoints: (build) => ({
    getSession: build.query<Viewer, undefined>({
      query: () => '/api/v1/session',
      providesTags: ['session'],
      transformResponse: ({ viewer }: SessionAnswer) => ({
        ownerId: viewer.owner,
        isSignedIn: viewer.user !== null,
        isStaff: viewer.role !== 'user' && viewer.user !== null,
        email: viewer.email,
      }),
    }),
  }),
});

export const { useGetSessionQuery } = sessionApi;
