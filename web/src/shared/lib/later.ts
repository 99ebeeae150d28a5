import { lazy, type ComponentType } from 'react';

// Parts of pages that are opened: their code comes once somebody begins to do something, so that they are there
// without a connection, too.
const waiting = new Set<() => Promise<unknown>>();
let isWanted = false;

/** Fetch the parts of what is there and of what comes. One that fails is tried again when it is opened. */
export function fetchParts(): void {
  isWanted = true;
  for (const load of waiting) load().catch(() => undefined);
  waiting.clear();
}

/** A part whose code comes later; opened without a connection, it waits for that. */
// eslint-disable-next-line @typescript-eslint/no-explicit-any -- as React has it: of any props
export function later<Part extends ComponentType<any>>(load: () => Promise<{ default: Part }>) {
  const patiently = async () => {
    for (;;) {
      try {
        return await load();
      } catch (error) {
        if (navigator.onLine) throw error; // it is not out of reach: it is gone
        await new Promise((resolve) => addEventListener('online', resolve, { once: true }));
      }
    }
  };
  waiting.add(load);
  if (isWanted) fetchParts();
  return lazy(patiently);
}
