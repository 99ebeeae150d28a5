import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from '@/shared/lib/router';
import { describe, expect, it, vi } from 'vitest';
import { QueryView } from './StateView';

const refetch = vi.fn();

function show(query: { data?: string[]; currentData?: string[]; error?: unknown; isFetching?: boolean }) {
  render(
    <MemoryRouter>
      <QueryView
        query={{ isFetching: false, refetch, ...query }}
        loading="loading"
        empty="empty"
        isEmpty={(items: string[]) => items.length === 0}
      >
        {(items) => items.join(', ')}
      </QueryView>
    </MemoryRouter>,
  );
}

describe('QueryView', () => {
  it.each([
    ['loading', { isFetching: true }, 'loading'],
    ['loading again after a failure', { isFetching: true, error: { status: 500 } }, 'loading'],
    ['empty', { data: [] }, 'empty'],
    ['ready', { data: ['a', 'b'] }, 'a, b'],
    ['ready, though a reload failed', { data: ['a'], currentData: ['a'], error: { status: 500 } }, 'a'],
    ['ready with the previous data, while new data is loading', { data: ['a'], isFetching: true }, 'a'],
    ['failed when a new query fails', { data: ['a'], error: { status: 500, data: { detail: 'No.' } } }, 'No.'],
    ['not found', { error: { status: 404 } }, 'Page not found'],
    ['forbidden', { error: { status: 403 } }, 'You do not have access to this page'],
    ['failed', { error: { status: 500, data: { detail: 'The disk is full.' } } }, 'The disk is full.'],
  ])('is %s', (_, query, text) => {
    show(query);
    expect(screen.getByText(text)).toBeInTheDocument();
  });

  it('retries when there was no answer', async () => {
    show({ error: { status: 'FETCH_ERROR' } });
    expect(screen.getByRole('alert')).toHaveTextContent('No connection');
    await userEvent.click(screen.getByRole('button'));
    expect(refetch).toHaveBeenCalledOnce();
  });
});
