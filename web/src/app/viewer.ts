import { useGetSessionQuery } from '@/shared/api/session';

export interface Viewer {
  ownerId: string | null;
  isSignedIn: boolean;
  isStaff: boolean;
  email: string | null;
}

/** Who is here; undefined until the server has said so. */
export function useViewer(): Viewer | undefined {
  const { data } = useGetSessionQuery();
  return data;
}
