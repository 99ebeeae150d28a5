import { useRef } from 'react';

/**
 * One run at a time: pressing again while it works does nothing. The button stays enabled meanwhile, for one
 * that is disabled while it has the focus loses it.
 */
export function useOnce<Args extends unknown[]>(action: (...args: Args) => Promise<unknown>): (...args: Args) => void {
  const isBusy = useRef(false);
  return (...args) => {
    if (isBusy.current) return;
    isBusy.current = true;
    void action(...args).finally(() => {
      isBusy.current = false;
    });
  };
}
