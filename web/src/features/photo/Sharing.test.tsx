import { screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { imageOf, json, problem, serve, show } from '@/shared/testing/render';
import { Sharing } from './Sharing';

describe('Sharing', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it('offers no link while the photo is private', () => {
    show(<Sharing image={imageOf()} />);
    expect(screen.getByRole('radio', { name: 'Only you' })).toBeChecked();
    expect(screen.queryByRole('button', { name: 'Copy link' })).toBeNull();
  });

  it('publishes immediately and announces it', async () => {
    const published = imageOf({ visibility: 'public', moderation: 'pending' });
    const calls = serve({ 'PATCH /api/v1/images/image-1': json(published) });
    const { store, again } = show(<Sharing image={imageOf()} />);
    await userEvent.click(screen.getByRole('radio', { name: 'Everyone, in the gallery' }));
    expect(screen.getByRole('radio', { name: 'Everyone, in the gallery' })).toBeChecked();
    await waitFor(() => expect(store.getState().live.announcement.text).toBe('Visibility: Everyone, in the gallery.'));
    expect(calls[0]?.body).toEqual({ visibility: 'public' });
    again(<Sharing image={published} />);
    expect(screen.getByRole('alert')).toHaveTextContent('This photo is being reviewed before it appears in the gallery.');
  });

  it('says that others do not read new words yet', () => {
    const image = imageOf({ visibility: 'public', moderation: 'approved' });
    const { again } = show(<Sharing image={image} />);
    expect(screen.queryByText(/Others see the earlier caption/)).toBeNull();
    again(<Sharing image={{ ...image, words_unread: true }} />);
    expect(screen.getByText(/Others see the earlier caption/)).toBeInTheDocument();
  });

  it('reverts the choice and says why if the server refuses', async () => {
    serve({ 'PATCH /api/v1/images/image-1': problem(403, 'Sign up to publish.') });
    const { store } = show(<Sharing image={imageOf()} />);
    await userEvent.click(screen.getByRole('radio', { name: 'Everyone, in the gallery' }));
    await waitFor(() => expect(screen.getByRole('radio', { name: 'Only you' })).toBeChecked());
    expect(store.getState().toasts.items[0]).toMatchObject({ tone: 'error', text: 'Sign up to publish.' });
  });

  it('copies the link', async () => {
    const user = userEvent.setup(); // with a clipboard
    show(<Sharing image={imageOf({ visibility: 'unlisted' })} />);
    await user.click(screen.getByRole('button', { name: 'Copy link' }));
    expect(await navigator.clipboard.readText()).toBe('https://cutline.example.org/shared/secret');
  });
});
