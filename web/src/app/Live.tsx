import { useEffect } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { baseApi } from '@/shared/api/base';
import { EventStream } from '@/shared/api/events';
import { announced, connectionChanged, eventReceived } from '@/shared/api/live';
import { useViewerWithRetry } from '@/shared/api/viewer';

// The tags that an event invalidates. The live state applies the rest immediately.
const STALE: Record<string, string[]> = {
  'image.created': ['images'],
  'image.changed': ['images', 'gallery'],
  'image.deleted': ['images', 'gallery'],
  'caption.ready': ['images', 'captions'],
  'caption.changed': ['images', 'captions', 'gallery'],
  'bulk.progress': ['bulk'],
  'bulk.done': ['bulk'],
  'moderation.changed': ['images', 'gallery'],
};

const BATCH_MS = 400; // captions of a folder arrive in bursts: reload once for all of them

/** Keeps the event stream open while the app is open, if the visitor has photos. Renders nothing. */
export function Live() {
  const dispatch = useDispatch();
  const { t } = useTranslation();
  const viewer = useViewerWithRetry();
  const owner = viewer?.ownerId;
  useEffect(() => {
    // A visitor without photos has no events. Connecting without a session would also create one, racing with the
    // session that the first upload creates. The server replays recent events on connect, so none are missed.
    if (!owner) return undefined;
    const stale = new Set<string>();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const reload = () => {
      dispatch(baseApi.util.invalidateTags([...stale] as never[]));
      stale.clear();
      timer = undefined;
    };
    const stream = new EventStream({
      onEvent: (event) => {
        dispatch(eventReceived(event));
        if (event.type === 'caption.ready' && typeof event.data.caption === 'string') {
          dispatch(announced(t('announce.caption', { caption: event.data.caption })));
        }
        for (const tag of STALE[event.type] ?? []) stale.add(tag);
        if (stale.size > 0) timer ??= setTimeout(reload, BATCH_MS);
      },
      onReset: () => {
        for (const tags of Object.values(STALE)) for (const tag of tags) stale.add(tag);
        timer ??= setTimeout(reload, BATCH_MS);
      },
      onConnection: (state) => dispatch(connectionChanged(state)),
    });
    stream.start();
    return () => {
      stream.stop();
      clearTimeout(timer);
    };
  }, [dispatch, owner, t]);
  return null;
}
