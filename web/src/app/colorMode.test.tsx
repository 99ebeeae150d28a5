import { act, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { setMode, useColors, useMode } from './colorMode';

function Shown() {
  useColors();
  return <p>{useMode()}</p>;
}

const shown = () => [screen.getByRole('paragraph').textContent, document.documentElement.dataset.theme];

describe('the colours of the app', () => {
  let system: EventTarget & { matches: boolean };

  beforeEach(() => {
    system = Object.assign(new EventTarget(), { matches: false });
    vi.stubGlobal('matchMedia', () => system);
    act(() => setMode('system'));
  });
  afterEach(() => {
    vi.unstubAllGlobals();
    localStorage.clear();
  });

  it("follow the system's, also when these change", () => {
    render(<Shown />);
    expect(shown()).toEqual(['system', 'light']);
    system.matches = true;
    act(() => void system.dispatchEvent(new Event('change')));
    expect(shown()).toEqual(['system', 'dark']);
  });

  it('are those that the reader chose, and stay', () => {
    render(<Shown />);
    act(() => setMode('dark'));
    expect(shown()).toEqual(['dark', 'dark']);
    act(() => void system.dispatchEvent(new Event('change')));
    expect(shown()).toEqual(['dark', 'dark']);
    expect(localStorage.getItem('cutline-mode')).toBe('dark');
  });

  it.each([
    ['dark', 'dark', 'dark'],
    ['light', 'light', 'light'],
    ['other', 'system', 'light'],
    [null, 'system', 'light'],
  ])('are those chosen in another tab (%s)', (stored, mode, scheme) => {
    render(<Shown />);
    act(() => {
      if (stored) localStorage.setItem('cutline-mode', stored);
      else localStorage.removeItem('cutline-mode');
      dispatchEvent(new StorageEvent('storage', { key: 'cutline-mode' }));
    });
    expect(shown()).toEqual([mode, scheme]);
  });

  it('can be chosen where storage is blocked', () => {
    vi.spyOn(Storage.prototype, 'setItem').mockImplementation(() => {
      throw new DOMException('blocked', 'SecurityError');
    });
    render(<Shown />);
    act(() => setMode('dark'));
    expect(shown()).toEqual(['dark', 'dark']);
  });
});
