// Client of the account API (django-allauth headless, browser client): https://docs.allauth.org/en/latest/headless/
export interface FieldError {
  message: string;
  code: string;
  param?: string;
}

export interface Flow {
  id: string;
  is_pending?: boolean;
  types?: string[];
}

export interface Answer<T = Record<string, unknown>> {
  status: number; // 0: no answer came
  data: T;
  meta: Record<string, unknown>;
  errors: FieldError[];
}

function csrfToken(): string {
  // With https the cookie is called __Host-csrftoken, and one of the plain name is not ours.
  const [, value = ''] =
    /(?:^|;\s*)__Host-csrftoken=([^;]+)/.exec(document.cookie) ??
    /(?:^|;\s*)csrftoken=([^;]+)/.exec(document.cookie) ??
    [];
  return value;
}

const BASE = '/_allauth/browser/v1';

/** Call the account API. Never throws: error responses are answers too (401 names the missing step). */
export async function request<T = Record<string, unknown>>(
  method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE',
  path: string,
  body?: unknown,
  headers: Record<string, string> = {},
): Promise<Answer<T>> {
  if (method !== 'GET' && !csrfToken()) await fetch(`${BASE}/config`, { credentials: 'same-origin' }).catch(() => null);
  try {
    const answer = await fetch(`${BASE}${path}`, {
      method,
      credentials: 'same-origin',
      headers: {
        ...headers,
        ...(method === 'GET' ? {} : { 'X-CSRFToken': csrfToken() }),
        ...(body === undefined ? {} : { 'Content-Type': 'application/json' }),
      },
      body: body === undefined ? undefined : JSON.stringify(body),
    });
    const json = (await answer.json().catch(() => ({}))) as Partial<Answer<T>>;
    return { status: answer.status, data: (json.data ?? {}) as T, meta: json.meta ?? {}, errors: json.errors ?? [] };
  } catch {
    return { status: 0, data: {} as T, meta: {}, errors: [] };
  }
}

export function pendingFlow(answer: Answer): string | null {
  const flows = (answer.data as { flows?: Flow[] }).flows ?? [];
  return flows.find((flow) => flow.is_pending)?.id ?? null;
}

/** 409: the visitor is already signed in. */
export function isSignedInAlready(answer: Answer): boolean {
  return answer.status === 409;
}

/** Whether the account has a password; accounts created through a provider may not. Undefined if unknown. */
export async function hasPassword(): Promise<boolean | undefined> {
  const answer = await request<{ user?: { has_usable_password?: boolean } }>('GET', '/auth/session');
  return answer.status === 200 ? answer.data.user?.has_usable_password !== false : undefined;
}

/** Signed in, but not recently. The offered flows depend on the account; there may be none. */
export function needsReauthentication(answer: Answer): boolean {
  return answer.status === 401 && answer.meta.is_authenticated === true;
}

/** Submit a form to a sign-in provider: the browser must navigate there, so fetch does not work. */
export function goToProvider(provider: string): void {
  const form = document.createElement('form');
  form.method = 'POST';
  form.action = `${BASE}/auth/provider/redirect`;
  const fields = {
    provider,
    process: 'login',
    callback_url: `${location.origin}/account/provider/callback`,
    csrfmiddlewaretoken: csrfToken(),
  };
  for (const [name, value] of Object.entries(fields)) {
    const input = document.createElement('input');
    input.type = 'hidden';
    input.name = name;
    input.value = value;
    form.append(input);
  }
  document.body.append(form);
  form.submit();
}

interface CreationOptions {
  creation_options: { publicKey: PublicKeyCredentialCreationOptionsJSON };
}

interface RequestOptions {
  request_options: { publicKey: PublicKeyCredentialRequestOptionsJSON };
}

/** Create a passkey on the device; null if the user or the device declines. */
export async function createPasskey(options: CreationOptions): Promise<unknown> {
  try {
    const publicKey = PublicKeyCredential.parseCreationOptionsFromJSON(options.creation_options.publicKey);
    const credential = (await navigator.credentials.create({ publicKey })) as PublicKeyCredential | null;
    return credential?.toJSON() ?? null;
  } catch {
    return null;
  }
}

export async function answerWithPasskey(path: string): Promise<Answer | null> {
  const options = await request<RequestOptions>('GET', path);
  if (options.status !== 200) return options as unknown as Answer;
  try {
    const publicKey = PublicKeyCredential.parseRequestOptionsFromJSON(options.data.request_options.publicKey);
    const credential = (await navigator.credentials.get({ publicKey })) as PublicKeyCredential | null;
    if (!credential) return null;
    return await request('POST', path, { credential: credential.toJSON() });
  } catch {
    return null;
  }
}

export const hasPasskeys = typeof window !== 'undefined' && 'PublicKeyCredential' in window;
