import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import { SecureProvider, useSecureRequest } from './Secure';

// Answers of the accounts' own API, which the generated types do not know.
function serveAccount(hasPassword: boolean, authenticators: string[] = []) {
  let isFresh = false;
  const asked: string[] = [];
  vi.stubGlobal('fetch', (path: string, init: RequestInit = {}) => {
    const call = `${init.method ?? 'GET'} ${path.replace('/_allauth/browser/v1', '')}`;
    asked.push(call);
    const body = (): [number, unknown] => {
      if (call === 'GET /auth/session') return [200, { data: { user: { has_usable_password: hasPassword } } }];
      if (call === 'GET /account/authenticators') return [200, { data: authenticators.map((type) => ({ type })) }];
      if (call.endsWith('reauthenticate')) isFresh = true;
      else if (call === 'DELETE /thing' && !isFresh) return [401, { data: { flows: [] }, meta: { is_authenticated: true } }];
      return [200, {}];
    };
    const [status, answer] = body();
    return Promise.resolve(new Response(JSON.stringify(answer), { status }));
  });
  return asked;
}

function Thing() {
  const secure = useSecureRequest();
  return (
    <button type="button" onClick={() => void secure('DELETE', '/thing')}>
      Do it
    </button>
  );
}

const shown = async () => {
  show(
    <SecureProvider>
      <Thing />
    </SecureProvider>,
  );
  await userEvent.click(screen.getByRole('button', { name: 'Do it' }));
};

describe('SecureProvider', () => {
  beforeAll(() => i18n.loadNamespaces(['account', 'common']));

  it('asks for the password, then continues the request', async () => {
    const asked = serveAccount(true);
    await shown();
    await userEvent.type(await screen.findByLabelText('Password'), 'correct horse{Enter}');
    await vi.waitFor(() => expect(asked.at(-1)).toBe('DELETE /thing'));
    expect(asked).toContain('POST /auth/reauthenticate');
  });

  it('asks for a code if the account has no password', async () => {
    const asked = serveAccount(false, ['totp']);
    await shown();
    await userEvent.type(await screen.findByLabelText('Code'), '123456{Enter}');
    await vi.waitFor(() => expect(asked.at(-1)).toBe('DELETE /thing'));
    expect(asked).toContain('POST /auth/2fa/reauthenticate');
  });

  it('says what to do if there is neither', async () => {
    serveAccount(false);
    await shown();
    expect(await screen.findByRole('dialog')).toHaveTextContent('Sign out, sign in again');
    expect(screen.queryByLabelText('Password')).toBeNull();
  });
});
