import { useEffect } from 'react';
import { useTranslation } from 'react-i18next';
import { useDispatch } from 'react-redux';
import { baseApi } from '@/shared/api/base';
import { EventStream } from '@/shared/api/events';
import { announced, connectionChanged, eventReceived } from '@/shared/api/live';
import { useViewerAtLast } from '@/shared/api/viewer';

// What an event makes stale. The rest is laid over from the live state at once.
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

const GATHER_MS = 400; // a folder's captions come by the dozen: one reload for all of them

/** Keeps the live connection, for as long as somebody with photos has the app open. Renders nothing. */
export function Live() {
  const dispatch = useDispatch();
  const { t } = useTranslation();
  const viewer = useViewerAtLast();
  const owner = viewer?.ownerId;
  useEffect(() => {
    // Nothing happens to somebody who has nothing; and a connection without a session begins one, which would
    // race with the one that a first photo begins. What came since the photo is sent when we connect.
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
        if (stale.size > 0) timer ??= setTimeout(reload, GATHER_MS);
      },
      onReset: () => {
        for (const tags of Object.values(STALE)) for (const tag of tags) stale.add(tag);
        timer ??= setTimeout(reload, GATHER_MS);
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
