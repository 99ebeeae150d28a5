import { act, render, screen } from '@testing-library/react';
import { Suspense } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { fetchParts, later } from './later';

const there = { default: () => <p>there</p> };

describe('later', () => {
  afterEach(() => vi.restoreAllMocks());

  it('waits for the connection where a part is opened without one', async () => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
    const load = vi.fn<() => Promise<typeof there>>().mockRejectedValueOnce(new TypeError('no connection')).mockResolvedValue(there);
    const Part = later(load);
    render(
      <Suspense fallback="waiting">
        <Part />
      </Suspense>,
    );
    await act(() => Promise.resolve());
    expect(screen.getByText('waiting')).toBeInTheDocument();
    act(() => void dispatchEvent(new Event('online')));
    expect(await screen.findByText('there')).toBeInTheDocument();
  });

  it('fetches parts ahead once told to, and those that come after at once', () => {
    const [before, after] = [vi.fn(() => Promise.resolve(there)), vi.fn(() => Promise.resolve(there))];
    later(before);
    expect(before).not.toHaveBeenCalled();
    fetchParts();
    expect(before).toHaveBeenCalledOnce();
    later(after);
    expect(after).toHaveBeenCalledOnce();
  });
});
