import Box from '@mui/material/Box';
import { useSelector } from 'react-redux';
import type { LiveState } from '../api/live';
import { visuallyHidden } from './Page';

/** A polite live region for screen readers: new captions, copied texts. */
export function Announcer() {
  const { text, number } = useSelector((state: { live: LiveState }) => state.live.announcement);
  return (
    <Box role="status" aria-live="polite" aria-atomic="true" sx={visuallyHidden}>
      <span key={number}>{text}</span>
    </Box>
  );
}
