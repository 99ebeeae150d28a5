import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import AboutRoutes from './AboutRoutes';

it('shows "not found" for an unknown path', async () => {
  await i18n.loadNamespaces('about');
  show(<AboutRoutes />, {}, '/nothing');
  expect(await screen.findByText('Page not found')).toBeVisible();
  expect(screen.getByRole('navigation', { name: 'About Cutline' })).toBeVisible();
});
