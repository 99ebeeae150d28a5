import { useSelector } from 'react-redux';
import type { LiveState } from './live';
import { useViewer } from './viewer';

const ASK_MS = 5_000;

/** How often to ask for what changes by itself: never while the live connection tells of it. */
export function useAskingMs(): number {
  const isTold = useSelector((state: { live: LiveState }) => state.live.connection === 'open');
  const viewer = useViewer();
  return viewer?.ownerId && !isTold ? ASK_MS : 0;
}
