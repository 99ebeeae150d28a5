import { screen } from '@testing-library/react';
import { beforeAll, describe, expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { imageOf, json, problem, serve, show } from '@/shared/testing/render';
import Similar from './Similar';

const PATH = 'GET /api/v1/images/image-1/similar';

describe('Similar', () => {
  beforeAll(() => i18n.loadNamespaces('photo'));

  it('links to photos like this one, the most alike first', async () => {
    const found = ['image-2', 'image-3'].map((id) => ({ image: imageOf({ id, caption: `A ${id}.`, description: '' }), likeness: 0.9 }));
    serve({ [PATH]: json({ items: found, reason: '' }) });
    show(<Similar image={imageOf()} />);
    await screen.findByRole('link', { name: 'A image-2.' });
    expect(screen.getAllByRole('link').map((each) => each.getAttribute('href'))).toEqual(['/images/image-2', '/images/image-3']);
  });

  it('says why there are none', async () => {
    serve({ [PATH]: json({ items: [], reason: 'pending' }) });
    show(<Similar image={imageOf()} />);
    expect(await screen.findByText(/compared in a moment/)).toBeInTheDocument();
  });

  it('can be tried again', async () => {
    serve({ [PATH]: problem(503, 'Away.') });
    show(<Similar image={imageOf()} />);
    expect(await screen.findByRole('button', { name: 'Try again' })).toBeInTheDocument();
  });
});
