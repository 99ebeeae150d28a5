// Answers to what a page asks first. They are asked for before the code that wants them is there.
const answers = new Map<string, Promise<Response>>();

export function fetchEarly(url: string): Promise<Response> {
  // Read to its end at once: an answer that nobody takes would keep its connection busy.
  const answer = fetch(url, { credentials: 'same-origin', headers: { Accept: 'application/json' } }).then(
    async (response) => new Response(await response.blob(), response),
  );
  answer.catch(() => undefined); // whoever takes it learns of that
  answers.set(url, answer);
  return answer;
}

/** The answer that was asked for early, once; null where there is none. */
export function takeEarly(url: string): Promise<Response> | null {
  const { pathname, search } = new URL(url, location.href);
  const answer = answers.get(pathname + search);
  answers.delete(pathname + search);
  return answer ?? null;
}
