import { fireEvent, screen } from '@testing-library/react';
import { beforeAll, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { Link, Routes } from '@/shared/lib/router';
import { imageOf, json, serve, show } from '@/shared/testing/render';
import PhotoPage from './PhotoPage';

const CAPTIONS = { 'image-1': 'A cat.', 'image-2': 'A dog.' };

beforeAll(() => i18n.loadNamespaces(['photo', 'common']));

it('begins anew at another photo, also where that one is known', async () => {
  vi.spyOn(HTMLCanvasElement.prototype, 'getContext').mockReturnValue(null); // jsdom has none
  const answers = Object.entries(CAPTIONS).flatMap(([id, caption]) => [
    [`GET /api/v1/images/${id}`, json(imageOf({ id, caption }))],
    [`GET /api/v1/images/${id}/captions`, json({ items: [], next: null })],
    [`GET /api/v1/images/${id}/similar`, json({ items: [], reason: '' })],
  ]);
  serve(Object.fromEntries(answers));
  show(
    <>
      <Link to="/images/image-1">First</Link>
      <Link to="/images/image-2">Second</Link>
      <Routes routes={[['/images/:id', <PhotoPage key="page" />]]} />
    </>,
    {},
    '/images/image-2',
  );
  const heading = { level: 1 };
  expect(await screen.findByRole('heading', { ...heading, name: /A dog/ })).toBeInTheDocument();
  fireEvent.click(screen.getByText('First'));
  expect(await screen.findByRole('heading', { ...heading, name: /A cat/ })).toBeInTheDocument();
  fireEvent.click(screen.getByRole('button', { name: 'Edit' }));
  fireEvent.change(await screen.findByRole('textbox', { name: 'Caption' }), { target: { value: 'My cat.' } });
  fireEvent.click(screen.getByText('Second'));
  expect(await screen.findByRole('heading', { ...heading, name: /A dog/ })).toBeInTheDocument();
  expect(screen.queryByDisplayValue('My cat.')).toBeNull();
});
