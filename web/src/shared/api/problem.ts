// A problem document of the API (RFC 9457), or a network failure in the same form.
export interface Problem {
  status: number; // 0: no answer
  code: string; // stable; 'offline' and 'timeout' are added here
  title: string;
  detail: string;
  hint: string;
}

interface Shaped {
  status?: unknown;
  data?: unknown;
}

function text(value: unknown): string {
  return typeof value === 'string' ? value : '';
}

export function problemOf(error: unknown): Problem {
  const { status, data } = (error ?? {}) as Shaped;
  const body = (typeof data === 'object' && data !== null ? data : {}) as Record<string, unknown>;
  if (status === 'TIMEOUT_ERROR') return { status: 0, code: 'timeout', title: '', detail: '', hint: '' };
  if (typeof status !== 'number') return { status: 0, code: 'offline', title: '', detail: '', hint: '' };
  return {
    status,
    code: text(body.code) || `http_${status}`,
    title: text(body.title),
    detail: text(body.detail),
    hint: text(body.hint),
  };
}
