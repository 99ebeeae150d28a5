// Elements that may receive the focus automatically. No text fields: they would open a phone's keyboard.
const STOPS = 'a[href], button:not([disabled]), [role="button"], input[type="checkbox"]:not([disabled]), input[type="radio"]:not([disabled])';

function near(ancestors: readonly HTMLElement[]): HTMLElement | null {
  const main = document.getElementById('content');
  for (const ancestor of ancestors) {
    if (!ancestor.isConnected || ancestor.contains(main)) continue;
    const stop = [...ancestor.querySelectorAll<HTMLElement>(STOPS)].find((each) => each.checkVisibility());
    if (stop) return stop;
  }
  return main;
}

function isGone(element: HTMLElement): boolean {
  return !element.isConnected || element.matches(':disabled');
}

function ancestorsOf(element: HTMLElement): HTMLElement[] {
  const parent = element.parentElement;
  return parent ? [parent, ...ancestorsOf(parent)] : [];
}

/**
 * When the focused element disappears (a removed row, a button that disables itself), move the focus to the nearest
 * focusable element: otherwise keyboard users would start at the top of the page again. Returns a stop function.
 */
export function keepFocus(): () => void {
  let ancestors: HTMLElement[] = [];
  let last: HTMLElement | null = null;
  let timer: ReturnType<typeof setTimeout> | undefined;
  const note = (event: FocusEvent) => {
    if (!(event.target instanceof HTMLElement)) return;
    last = event.target;
    ancestors = ancestorsOf(last);
  };
  const check = () => {
    const { activeElement } = document;
    const isNowhere = activeElement === null || activeElement === document.body || activeElement === last;
    if (isNowhere && last && isGone(last)) near(ancestors)?.focus({ preventScroll: true });
  };
  // Later, so that the code that removed it can set the focus first.
  const observer = new MutationObserver(() => {
    if (!last || !isGone(last)) return;
    clearTimeout(timer);
    timer = setTimeout(check, 0);
  });
  document.addEventListener('focusin', note);
  observer.observe(document.body, { childList: true, subtree: true, attributeFilter: ['disabled'] });
  return () => {
    clearTimeout(timer);
    document.removeEventListener('focusin', note);
    observer.disconnect();
  };
}
