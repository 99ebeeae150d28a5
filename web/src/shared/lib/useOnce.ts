import { useRef } from 'react';

/**
 * Run an action at most once at a time: further calls are ignored while it runs. The button stays enabled, because a
 * button that is disabled while focused loses the focus.
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
