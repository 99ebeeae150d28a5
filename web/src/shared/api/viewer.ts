import { useMemo, useState } from 'react';
import { useSelector } from 'react-redux';
import { api, useGetSessionQuery } from './generated';

export interface Viewer {
  ownerId: string | null;
  isSignedIn: boolean;
  isStaff: boolean;
  email: string | null;
}

/** The current visitor; undefined until the session is loaded. */
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

const RETRY_AFTER_MS = 5_000;

/** Like `useViewer`, but retries until the session is loaded. Used once, in a component that is always mounted. */
export function useViewerWithRetry(): Viewer | undefined {
  const [hasFailed, setFailed] = useState(false);
  const { isError } = useGetSessionQuery({}, { pollingInterval: hasFailed ? RETRY_AFTER_MS : 0 });
  if (isError !== hasFailed) setFailed(isError);
  return useViewer();
}

const selectSession = api.endpoints.getSession.select({});

/** The language of captions, for `lang`; undefined if unknown, as for text written by people. */
export function useCaptionLanguage(): (by?: string) => string | undefined {
  const { data } = useSelector(selectSession);
  return (by = 'model') => (by === 'person' ? undefined : (data?.model_language ?? undefined));
}

/** Whose photos this browser sends now; undefined until the session is loaded. ownerId is null before the first photo. */
export function selectSender(state: Parameters<typeof selectSession>[0]): Pick<Viewer, 'ownerId' | 'isSignedIn'> | undefined {
  const viewer = selectSession(state).data?.viewer;
  return viewer && { ownerId: viewer.owner ?? null, isSignedIn: Boolean(viewer.user) };
}
