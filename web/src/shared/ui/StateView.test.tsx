import { render, screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { MemoryRouter } from 'react-router';
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
    ['ready with what was there, while another question is asked', { data: ['a'], isFetching: true }, 'a'],
    ['failed where another question failed', { data: ['a'], error: { status: 500, data: { detail: 'No.' } } }, 'No.'],
    ['not found', { error: { status: 404 } }, 'There is nothing here.'],
    ['forbidden', { error: { status: 403 } }, 'You may not see this.'],
    ['failed', { error: { status: 500, data: { detail: 'The disk is full.' } } }, 'The disk is full.'],
  ])('is %s', (_, query, text) => {
    show(query);
    expect(screen.getByText(text)).toBeInTheDocument();
  });

  it('tries again where no answer came', async () => {
    show({ error: { status: 'FETCH_ERROR' } });
    expect(screen.getByRole('alert')).toHaveTextContent('There is no connection.');
    await userEvent.click(screen.getByRole('button'));
    expect(refetch).toHaveBeenCalledOnce();
  });
});
