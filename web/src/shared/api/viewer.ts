import { useMemo, useState } from 'react';
import { useSelector } from 'react-redux';
import { api, useGetSessionQuery } from './generated';

export interface Viewer {
  ownerId: string | null;
  isSignedIn: boolean;
  isStaff: boolean;
  email: string | null;
}

/** Who is here; undefined until the server has said so. */
export function useViewer(): Viewer | undefined {
  const viewer = useGetSessionQuery({}).data?.viewer;
  return useMemo(
    () =>
      viewer && {
        ownerId: viewer.owner ?? null,
        isSignedIn: Boolean(viewer.user),
        isStaff: Boolean(viewer.user) && viewer.role !== 'user',
        email: viewer.email ?? null,
      },
    [viewer],
  );
}

const AGAIN_MS = 5_000;

/** Ask who is here until the server says so: all else hangs on it. For the one place that is always there. */
export function useViewerAtLast(): Viewer | undefined {
  const [hasFailed, setFailed] = useState(false);
  const { isError } = useGetSessionQuery({}, { pollingInterval: hasFailed ? AGAIN_MS : 0 });
  if (isError !== hasFailed) setFailed(isError);
  return useViewer();
}

const selectSession = api.endpoints.getSession.select({});

/** What a caption by the model or a person is written in, for `lang`; undefined where nobody knows, as of people's words. */
export function useCaptionLanguage(): (by?: string) => string | undefined {
  const { data } = useSelector(selectSession);
  return (by = 'model') => (by === 'person' ? undefined : (data?.model_language ?? undefined));
}

/** Whether the server knows this browser: what it writes belongs to somebody. */
export function hasOwner(state: Parameters<typeof selectSession>[0]): boolean {
  return Boolean(selectSession(state).data?.viewer.owner);
}
