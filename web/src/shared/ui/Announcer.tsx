import Box from '@mui/material/Box';
import { useSelector } from 'react-redux';
import type { LiveState } from '../api/live';
import { visuallyHidden } from './Page';

/** Says what happened to whoever listens, politely: captions that arrived, things that were copied. */
export function Announcer() {
  const { text, number } = useSelector((state: { live: LiveState }) => state.live.announcement);
  return (
    <Box role="status" aria-live="polite" aria-atomic="true" sx={visuallyHidden}>
      <span key={number}>{text}</span>
    </Box>
  );
}
