import { act, render, screen } from '@testing-library/react';
import { Suspense } from 'react';
import { afterEach, describe, expect, it, vi } from 'vitest';
import { prefetchParts, lazyPart } from './lazyPart';

const there = { default: () => <p>there</p> };

describe('lazyPart', () => {
  afterEach(() => vi.restoreAllMocks());

  it('waits for the connection when opened offline', async () => {
    vi.spyOn(navigator, 'onLine', 'get').mockReturnValue(false);
    const load = vi.fn<() => Promise<typeof there>>().mockRejectedValueOnce(new TypeError('no connection')).mockResolvedValue(there);
    const Part = lazyPart(load);
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

  it.each(['page', 'interaction'] as const)('prefetches registered parts at their moment, and later ones immediately (%s)', (moment) => {
    const [before, after] = [vi.fn(() => Promise.resolve(there)), vi.fn(() => Promise.resolve(there))];
    lazyPart(before, moment);
    expect(before).not.toHaveBeenCalled();
    prefetchParts(moment);
    expect(before).toHaveBeenCalledOnce();
    lazyPart(after, moment);
    expect(after).toHaveBeenCalledOnce();
  });
});
