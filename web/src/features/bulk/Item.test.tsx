import { screen } from '@testing-library/react';
import { beforeAll, describe, expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import { Item } from './Item';

describe('Item', () => {
  beforeAll(() => i18n.loadNamespaces('bulk'));

  it('shows a file with its caption, linked to the photo', () => {
    show(<Item item={{ styled: [], number: 0, file: 'a/cat.jpg', state: 'done', image: 'image-1', caption: 'A cat on a mat.' }} />);
    const link = screen.getByRole('link', { name: 'a/cat.jpg A cat on a mat.' });
    expect(link).toHaveAttribute('href', '/images/image-1');
  });

  it('says why there is no caption, without a link', () => {
    show(<Item item={{ styled: [], number: 2, file: 'notes.txt', state: 'failed', error: { code: 'image_unreadable', message: 'This is not a photo.' } }} />);
    expect(screen.getByText('This is not a photo.')).toBeVisible();
    expect(screen.queryByRole('link')).toBeNull();
  });

  it('says that the photo was deleted', () => {
    show(<Item item={{ styled: [], number: 1, file: 'gone.jpg', state: 'done' }} />);
    expect(screen.getByText('The photo was deleted.')).toBeVisible();
    expect(screen.queryByRole('link')).toBeNull();
  });

  const cat = { number: 0, file: 'cat.jpg', state: 'done', image: 'image-1', caption: 'A cat on a mat.' };

  it('shows what was written in the voice beside the caption', () => {
    show(<Item item={{ ...cat, styled: ['Mat occupied.'] }} voiceLanguage="en" />);
    expect(screen.getByText('A cat on a mat.')).toBeVisible();
    expect(screen.getByText('Mat occupied.')).toHaveAttribute('lang', 'en');
  });

  it('says why nothing was written in the voice', () => {
    show(<Item item={{ ...cat, styled: [], styled_error: { code: 'caption_refused', message: '...' } }} />);
    expect(screen.getByText('A cat on a mat.')).toBeVisible();
    expect(screen.getByText(/nothing that the language model wrote could be used/)).toBeVisible();
  });
});
