import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it } from 'vitest';
import i18n from '../i18n';
import { candidateOf, json, problem, serve, show } from '../testing/render';
import { Rating } from './Rating';

const PATH = '/api/v1/captions/caption-1/rating';

describe('Rating', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it('rates, and removes the rating when pressed again', async () => {
    const calls = serve({ [`PUT ${PATH}`]: json(candidateOf({ rating: -1 })), [`DELETE ${PATH}`]: json(null, 204) });
    const { again } = show(<Rating candidate={candidateOf()} />);
    const down = screen.getByRole('button', { name: 'Poor caption' });
    expect(down).toHaveAttribute('aria-pressed', 'false');
    await userEvent.click(down);
    await waitFor(() => expect(calls).toHaveLength(1));
    expect(calls[0]).toMatchObject({ method: 'PUT', body: { value: -1 } });
    again(<Rating candidate={candidateOf({ rating: -1 })} />);
    expect(screen.getByRole('button', { name: 'Poor caption' })).toHaveAttribute('aria-pressed', 'true');
    expect(screen.getByRole('button', { name: 'Good caption' })).toHaveAttribute('aria-pressed', 'false');
    await userEvent.click(screen.getByRole('button', { name: 'Poor caption' }));
    await waitFor(() => expect(calls.map((each) => each.method)).toEqual(['PUT', 'DELETE']));
  });

  it('says that the rating was not saved', async () => {
    serve({ [`PUT ${PATH}`]: problem(429, 'Too many at once.') });
    const { store } = show(<Rating candidate={candidateOf()} />);
    await userEvent.click(screen.getByRole('button', { name: 'Good caption' }));
    await waitFor(() => expect(store.getState().toasts.items[0]).toMatchObject({ tone: 'error', text: 'Too many at once.' }));
  });
});
