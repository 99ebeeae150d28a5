import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import type { ReactNode } from 'react';

export function Section({ title, hint, children }: { title: string; hint?: string; children: ReactNode }) {
  return (
    <Box component="section" aria-label={title} sx={{ borderTop: 1, borderColor: 'divider', pt: 3, mt: 4 }}>
      <Typography variant="h2" gutterBottom>
        {title}
      </Typography>
      {hint ? (
        <Typography color="textSecondary" sx={{ mb: 2, maxWidth: '64ch' }}>
          {hint}
        </Typography>
      ) : null}
      {children}
    </Box>
  );
}
