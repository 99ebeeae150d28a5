import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import type { SessionOut } from '@/shared/api/generated';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import { VerifyPage } from './VerifyPage';

function serveVerification(status: number, user: string | null) {
  vi.stubGlobal('fetch', (request: string | Request) => {
    if (typeof request !== 'string') {
      const session = { viewer: { owner: null, user, role: 'user' } } as unknown as SessionOut;
      return Promise.resolve(new Response(JSON.stringify(session), { headers: { 'Content-Type': 'application/json' } }));
    }
    if (request.endsWith('/email/verify') && status === 0) return Promise.reject(new TypeError('offline'));
    return Promise.resolve(new Response('{}', { status: request.endsWith('/email/verify') ? status : 200 }));
  });
  vi.stubGlobal('Request', class extends Request {
    constructor(address: string, init?: RequestInit) {
      super(new URL(address, location.origin), { ...init, signal: undefined });
    }
  });
}

const confirmed = async () => {
  show(<VerifyPage />);
  await userEvent.click(screen.getByRole('button', { name: 'Confirm' }));
};

describe('VerifyPage', () => {
  beforeAll(() => i18n.loadNamespaces('account'));

  it('links to sign-in if the link does not work', async () => {
    serveVerification(400, null);
    await confirmed();
    expect(await screen.findByRole('alert')).toHaveTextContent('This link does not work');
    expect(screen.getByRole('link', { name: 'Sign in' })).toHaveAttribute('href', '/account/sign-in');
  });

  it('does not ask a signed-in user to sign in', async () => {
    serveVerification(400, 'user-1');
    await confirmed();
    expect(await screen.findByRole('link', { name: 'Your account' })).toHaveAttribute('href', '/account');
    expect(screen.queryByRole('link', { name: 'Sign in' })).toBeNull();
  });

  it('does not blame the link for a lost connection', async () => {
    serveVerification(0, null);
    await confirmed();
    expect(await screen.findByRole('alert')).toHaveTextContent('No connection');
    expect(screen.getByRole('button', { name: 'Confirm' })).toBeVisible();
  });
});
