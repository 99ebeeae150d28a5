import { screen } from '@testing-library/react';
import { expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import AboutRoutes from './AboutRoutes';

it('has nothing to show at an address that is none, and says so', async () => {
  await i18n.loadNamespaces('about');
  show(<AboutRoutes />, {}, '/nothing');
  expect(await screen.findByText('There is nothing here.')).toBeVisible();
  expect(screen.getByRole('navigation', { name: 'About Cutline' })).toBeVisible();
});
