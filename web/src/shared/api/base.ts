import { createApi, fetchBaseQuery, retry } from '@reduxjs/toolkit/query/react';
import { takeEarly } from './early';
import { problemOf } from './problem';

/** The query of a URL. Empty values are left out; multiple values are repeated. */
function queryOf(params: object): string {
  const query = new URLSearchParams();
  for (const [name, value] of Object.entries(params)) {
    for (const each of [value ?? []].flat()) if (each !== '') query.append(name, String(each));
  }
  return query.toString();
}

const baseQuery = fetchBaseQuery({
  baseUrl: '',
  paramsSerializer: queryOf,
  credentials: 'same-origin',
  timeout: 30_000,
  fetchFn: (input, init) => (input instanceof Request && input.method === 'GET' && takeEarly(input.url)) || fetch(input, init),
});

// Session cookies only: no token is kept in storage. Reads are retried when there is no answer; writes never,
// unless they carry an Idempotency-Key (see uploads).
const retryingQuery = retry(
  async (args: Parameters<ReturnType<typeof fetchBaseQuery>>[0], api, extra: object) => {
    const result = await baseQuery(args, api, extra);
    const isWrite = typeof args !== 'string' && (args.method ?? 'GET').toUpperCase() !== 'GET';
    if (result.error && (isWrite || problemOf(result.error).status !== 0)) retry.fail(result.error, result.meta);
    return result;
  },
  { maxRetries: 2 },
);

export const baseApi = createApi({
  reducerPath: 'api',
  baseQuery: retryingQuery,
  refetchOnReconnect: true,
  endpoints: () => ({}),
});
