import { useSelector } from 'react-redux';
import type { LiveState } from './live';
import { useViewer } from './viewer';

const ASK_MS = 5_000;

/** How often to ask for what changes by itself: never while the live connection tells of it, and it is there. */
export function useAskingMs(isMissing = false): number {
  const isTold = useSelector((state: { live: LiveState }) => state.live.connection === 'open');
  const viewer = useViewer();
  return viewer?.ownerId && (!isTold || isMissing) ? ASK_MS : 0;
}
