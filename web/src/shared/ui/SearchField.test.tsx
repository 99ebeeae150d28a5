import { act, fireEvent, render, screen } from '@testing-library/react';
import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import { SearchField } from './SearchField';

describe('SearchField', () => {
  beforeEach(() => {
    vi.useFakeTimers();
  });
  afterEach(() => {
    vi.useRealTimers();
  });

  it('searches once, when the fingers pause', () => {
    const onSearch = vi.fn();
    render(<SearchField label="Search" value="" onSearch={onSearch} />);
    const field = screen.getByRole('searchbox', { name: 'Search' });
    for (const text of ['c', 'ca', 'cat']) {
      fireEvent.change(field, { target: { value: text } });
      act(() => vi.advanceTimersByTime(100));
    }
    expect(onSearch).not.toHaveBeenCalled();
    act(() => vi.advanceTimersByTime(300));
    expect(onSearch.mock.calls).toEqual([['cat']]);
  });
});
