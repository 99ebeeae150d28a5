import Box from '@mui/material/Box';
import type { ReactNode } from 'react';

/** The frame of a table, which is scrolled by itself where the window is narrow, with the keyboard too. */
export function Scrolled({ label, children }: { label: string; children: ReactNode }) {
  return (
    <Box
      role="region"
      aria-label={label}
      tabIndex={0}
      sx={{ overflowX: 'auto', border: 1, borderColor: 'divider', borderRadius: '14px', bgcolor: 'background.paper' }}
    >
      {children}
    </Box>
  );
}
