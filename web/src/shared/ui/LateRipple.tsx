import { Suspense, type ComponentType, type Ref } from 'react';
import { ErrorBoundary } from 'react-error-boundary';
import type { TouchRippleActions, TouchRippleProps } from '@mui/material/ButtonBase/TouchRipple';
import { lazyPart } from '../lib/lazyPart';

type RippleProps = TouchRippleProps & { ref?: Ref<TouchRippleActions> };

// MUI's type is that of the function inside forwardRef.
const load = () => import('@mui/material/ButtonBase/TouchRipple') as Promise<{ default: unknown }> as Promise<{ default: ComponentType<RippleProps> }>;
const TouchRipple = lazyPart(load, 'page');

/** Stands in buttons for MUI's ripple (see vite.config.ts), whose code the first page does not wait for, and can do without. */
export default function LateRipple(props: RippleProps) {
  return (
    <ErrorBoundary fallback={null}>
      <Suspense fallback={null}>
        <TouchRipple {...props} />
      </Suspense>
    </ErrorBoundary>
  );
}
