// Responses to a page's first requests, sent before the code that needs them is loaded.
const answers = new Map<string, Promise<Response>>();

export function fetchEarly(url: string): Promise<Response> {
  // Read the body immediately: an unread response would keep its connection busy.
  const answer = fetch(url, { credentials: 'same-origin', headers: { Accept: 'application/json' } }).then(
    async (response) => new Response(await response.blob(), response),
  );
  answer.catch(() => undefined); // reported to whoever takes it
  answers.set(url, answer);
  return answer;
}

/** Take the response to an early request, once; null if there is none. */
export function takeEarly(url: string): Promise<Response> | null {
  const { pathname, search } = new URL(url, location.href);
  const answer = answers.get(pathname + search);
  answers.delete(pathname + search);
  return answer ?? null;
}
