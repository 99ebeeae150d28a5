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

  it('searches once, after a pause in typing', () => {
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

  it('follows the URL when the user goes back or clears the filters', () => {
    const onSearch = vi.fn();
    const { rerender } = render(<SearchField label="Search" value="cat" onSearch={onSearch} />);
    rerender(<SearchField label="Search" value="" onSearch={onSearch} />);
    expect(screen.getByRole('searchbox')).toHaveValue('');
    act(() => vi.advanceTimersByTime(1000));
    expect(onSearch).not.toHaveBeenCalled();
  });

  it('keeps the typed text while an earlier search reaches the URL', () => {
    const onSearch = vi.fn();
    const { rerender } = render(<SearchField label="Search" value="" onSearch={onSearch} />);
    const field = screen.getByRole('searchbox');
    fireEvent.change(field, { target: { value: 'ca' } });
    act(() => vi.advanceTimersByTime(300));
    fireEvent.change(field, { target: { value: 'cat' } });
    rerender(<SearchField label="Search" value="ca" onSearch={onSearch} />);
    expect(field).toHaveValue('cat');
    act(() => vi.advanceTimersByTime(300));
    expect(onSearch.mock.calls).toEqual([['ca'], ['cat']]);
  });
});
