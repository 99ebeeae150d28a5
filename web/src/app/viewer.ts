import { useGetSessionQuery, type Viewer } from '@/shared/api/session';

/** Who is here; undefined until the server has said so. */
export function useViewer(): Viewer | undefined {
  return useGetSessionQuery(undefined).data;
}
