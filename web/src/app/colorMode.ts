import { useLayoutEffect, useSyncExternalStore } from 'react';

// Which colours the reader chose: those of the system, or one of the two schemes. theme.js reads the same key before the
// first paint.
export const MODES = ['system', 'light', 'dark'] as const;
export type Mode = (typeof MODES)[number];

const STORED = 'cutline-mode';
const listeners = new Set<() => void>();
let chosen: Mode | null = null; // in this tab; storage may be blocked

function currentMode(): Mode {
  if (chosen) return chosen;
  try {
    const stored = localStorage.getItem(STORED);
    return MODES.find((mode) => mode === stored) ?? 'system';
  } catch {
    return 'system';
  }
}

export function setMode(mode: Mode): void {
  chosen = mode;
  try {
    localStorage.setItem(STORED, mode);
  } catch {
    // Storage may be blocked: the choice holds until the page is closed.
  }
  for (const listener of listeners) listener();
}

function subscribe(listener: () => void): () => void {
  const chosenElsewhere = ({ key }: StorageEvent) => {
    if (key !== STORED && key !== null) return;
    chosen = null;
    listener();
  };
  listeners.add(listener);
  addEventListener('storage', chosenElsewhere);
  return () => {
    listeners.delete(listener);
    removeEventListener('storage', chosenElsewhere);
  };
}

export function useMode(): Mode {
  return useSyncExternalStore(subscribe, currentMode, () => 'system');
}

/** Keeps the document in the colours that the reader chose, and in the system's if they chose these. */
export function useColors(): void {
  const mode = useMode();
  useLayoutEffect(() => {
    const system = matchMedia('(prefers-color-scheme: dark)');
    const show = () => document.documentElement.setAttribute('data-theme', mode === 'system' ? (system.matches ? 'dark' : 'light') : mode);
    show();
    system.addEventListener('change', show);
    return () => system.removeEventListener('change', show);
  }, [mode]);
}
