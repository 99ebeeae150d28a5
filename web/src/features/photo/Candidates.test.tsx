import { screen, waitFor, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { candidateOf, imageOf, json, problem, serve, show } from '@/shared/testing/render';
import { Candidates } from './Candidates';

const shown = candidateOf({ shown: true });
const other = candidateOf({ id: 'caption-2', text: 'A cat sleeps.', log_prob: null, has_attention: true });

function list(image = imageOf(), candidates = [shown, other], onLook = vi.fn()) {
  const { store } = show(
    <Candidates image={image} candidates={candidates} attention={null} looked={null} onLook={onLook} word={null} onWord={vi.fn()} />,
  );
  return store;
}

describe('Candidates', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it('marks the current one, and shows its confidence if known', () => {
    list();
    const [first, second] = screen.getAllByRole('listitem') as [HTMLElement, HTMLElement];
    expect(first).toHaveTextContent('Confidence per word: 61%'); // five words and the end: exp(-3 / 6)
    expect(within(first).getByText('Current')).toBeInTheDocument();
    expect(within(first).queryByRole('button')).toBeNull();
    expect(second).not.toHaveTextContent('Confidence');
  });

  it('says in words where the model is not sure', () => {
    list(imageOf(), [candidateOf({ confidence: 0.71 }), candidateOf({ id: 'caption-2', confidence: 0.31 })]);
    const [first, second] = screen.getAllByRole('listitem') as [HTMLElement, HTMLElement];
    expect(first).toHaveTextContent('Confidence: 71%');
    expect(first).not.toHaveTextContent('Not sure');
    expect(second).toHaveTextContent('Not sure. Confidence: 31%');
  });

  it('makes one the caption', async () => {
    const calls = serve({ 'POST /api/v1/images/image-1/captions/caption-2/pick': json(imageOf({ caption: other.text })) });
    const store = list();
    await userEvent.click(screen.getByRole('button', { name: 'Use this' }));
    await waitFor(() => expect(store.getState().live.announcement.text).toBe('This candidate is now the caption.'));
    expect(calls).toHaveLength(1);
  });

  it('says why it could not be used', async () => {
    serve({ 'POST /api/v1/images/image-1/captions/caption-2/pick': problem(409, 'The photo is being deleted.') });
    const store = list();
    await userEvent.click(screen.getByRole('button', { name: 'Use this' }));
    await waitFor(() =>
      expect(store.getState().toasts.items[0]).toMatchObject({ tone: 'error', text: 'The photo is being deleted.' }),
    );
  });

  it('lets everyone see where the model looked, but only the owner choose', async () => {
    const onLook = vi.fn();
    list(imageOf({ mine: false }), [shown, other], onLook);
    expect(screen.queryByRole('button', { name: 'Use this' })).toBeNull();
    await userEvent.click(screen.getByRole('button', { name: 'Where it looked' }));
    expect(onLook).toHaveBeenCalledExactlyOnceWith('caption-2');
  });

  it('does not repeat a single candidate to visitors', () => {
    list(imageOf({ mine: false }), [shown]);
    expect(screen.queryByRole('list')).toBeNull();
  });
});
