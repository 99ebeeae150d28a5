import { useSelector } from 'react-redux';
import type { LiveState } from './live';
import { useViewer } from './viewer';

const POLL_MS = 5_000;

/** The polling interval for data that changes by itself: 0 while the event stream is open, unless data is missing. */
export function usePollingMs(isMissing = false): number {
  const isLive = useSelector((state: { live: LiveState }) => state.live.connection === 'open');
  const viewer = useViewer();
  return viewer?.ownerId && (!isLive || isMissing) ? POLL_MS : 0;
}
