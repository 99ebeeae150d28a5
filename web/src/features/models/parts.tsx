import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useId, type ReactNode } from 'react';
import { Scrolled } from '@/shared/ui/Scrolled';

export const CARD = { display: 'flex', flexDirection: 'column', gap: 0.5, border: 1, borderColor: 'divider', borderRadius: '14px', p: { xs: 2, sm: 3 }, bgcolor: 'background.paper', minWidth: 0 } as const;

/** A version's id, as people read it. */
export const short = (id: string) => id.slice(0, 12);

export function Section({ title, lead, children }: { title: string; lead?: string; children: ReactNode }) {
  const id = useId();
  return (
    <Box component="section" aria-labelledby={id} sx={{ minWidth: 0 }}>
      <Typography variant="h2" id={id} sx={{ mb: 1 }}>
        {title}
      </Typography>
      {lead ? (
        <Typography color="textSecondary" sx={{ mb: 2, maxWidth: '72ch' }}>
          {lead}
        </Typography>
      ) : null}
      {children}
    </Box>
  );
}

interface WideTableProps {
  label: string;
  /** The least width of the last column, where the longest text stands in it. */
  lastColumn?: number;
  children: ReactNode;
}

/** A table in a frame that is scrolled. */
export function WideTable({ label, lastColumn, children }: WideTableProps) {
  return (
    <Scrolled label={label}>
      <Box
        component="table"
        sx={{
          borderCollapse: 'collapse',
          width: '100%',
          fontVariantNumeric: 'tabular-nums',
          '& th, & td': { px: { xs: 1.25, sm: 2 }, py: 1, textAlign: 'left', verticalAlign: 'top' },
          '& td:last-of-type': { minWidth: lastColumn },
          '& th': { fontWeight: 600 },
          '& thead th': { color: 'text.secondary' },
          '& tbody tr': { borderTop: 1, borderColor: 'divider' },
        }}
      >
        {children}
      </Box>
    </Scrolled>
  );
}
