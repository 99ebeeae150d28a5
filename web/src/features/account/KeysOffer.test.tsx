import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { KeyOut } from '@/shared/api/generated';
import i18n from '@/shared/i18n';
import { json, serve, show } from '@/shared/testing/render';
import { KeysOffer } from './KeysOffer';

const keyOf = (id: string, revoked_at: string | null = null): KeyOut => ({
  id,
  name: id,
  prefix: 'ck_abc',
  scopes: ['caption'],
  created_at: '2026-01-01T10:00:00Z',
  last_used_at: null,
  expires_at: null,
  revoked_at,
});

describe('KeysOffer', () => {
  beforeAll(() => i18n.loadNamespaces(['account', 'common']));

  it('offers to end the keys that still work, once confirmed', async () => {
    const calls = serve({
      'GET /api/v1/keys': json({ items: [keyOf('one'), keyOf('two'), keyOf('old', '2026-01-02T10:00:00Z')], next: null }),
      'DELETE /api/v1/keys': json({ revoked: 2 }),
    });
    show(<KeysOffer />);
    expect(await screen.findByText(/2 API keys still work/)).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Revoke all' }));
    expect(calls.some((call) => call.method === 'DELETE')).toBe(false);
    await userEvent.click(await screen.findByRole('button', { name: 'Revoke all' }));
    await vi.waitFor(() => expect(calls.map((call) => `${call.method} ${call.path}`)).toContain('DELETE /api/v1/keys'));
  });

  it('says nothing if no key works', async () => {
    const calls = serve({ 'GET /api/v1/keys': json({ items: [keyOf('old', '2026-01-02T10:00:00Z')], next: null }) });
    show(<KeysOffer />);
    await vi.waitFor(() => expect(calls).toHaveLength(1));
    expect(screen.queryByRole('status')).toBeNull();
  });
});
