import { Suspense } from 'react';
import type { CircularProgressProps } from '@mui/material/CircularProgress';
import { lazyPart } from '../lib/lazyPart';

const CircularProgress = lazyPart(() => import('@mui/material/CircularProgress'));

/** Stands in buttons for MUI's circle of those that are `loading` (see vite.config.ts). */
export default function LateProgress(props: CircularProgressProps) {
  return (
    <Suspense fallback={null}>
      <CircularProgress {...props} />
    </Suspense>
  );
}
