import {
  createContext,
  startTransition,
  use,
  useCallback,
  useEffect,
  useLayoutEffect,
  useMemo,
  useState,
  type AnchorHTMLAttributes,
  type MouseEvent,
  type ReactNode,
  type Ref,
} from 'react';

// The part of a router that this app needs: absolute addresses, parameters, and links that load no document.

interface Address {
  pathname: string;
  search: string;
}

/** How a visitor came to an address: by a link or a call, or by the browser's buttons. */
export type Arrival = 'POP' | 'PUSH' | 'REPLACE';

type Navigate = (to: string, options?: { replace?: boolean }) => void;
type Params = Readonly<Partial<Record<string, string>>>;

interface Router {
  address: Address;
  arrival: Arrival;
  navigate: Navigate;
  latest: () => Address; // also while the page of a new address is still loading
}

const RouterContext = createContext<Router | null>(null);
const ParamsContext = createContext<Params>({});

function useRouter(): Router {
  const router = use(RouterContext);
  if (!router) throw new Error('there is no router');
  return router;
}

function addressOf(to: string): Address {
  const { pathname, search } = new URL(to, 'http://app');
  return { pathname, search };
}

const inBrowser = () => addressOf(location.href);

/** Shows the browser's address. */
export function BrowserRouter({ children }: { children: ReactNode }) {
  const [shown, setShown] = useState({ address: inBrowser(), arrival: 'POP' as Arrival });
  // A transition keeps the old page until the code of the new one is there.
  const show = useCallback((arrival: Arrival) => startTransition(() => setShown({ address: inBrowser(), arrival })), []);
  useLayoutEffect(() => {
    const back = () => show('POP');
    addEventListener('popstate', back);
    return () => removeEventListener('popstate', back);
  }, [show]);
  const navigate = useCallback<Navigate>(
    (to, { replace = false } = {}) => {
      if (replace) history.replaceState(null, '', to);
      else history.pushState(null, '', to);
      show(replace ? 'REPLACE' : 'PUSH');
    },
    [show],
  );
  const router = useMemo(() => ({ ...shown, navigate, latest: inBrowser }), [shown, navigate]);
  return <RouterContext value={router}>{children}</RouterContext>;
}

/** Shows an address of its own: for prerendering and for tests. */
export function MemoryRouter({ start = '/', children }: { start?: string; children: ReactNode }) {
  const [shown, setShown] = useState({ address: addressOf(start), arrival: 'POP' as Arrival });
  const navigate = useCallback<Navigate>((to, { replace = false } = {}) => {
    setShown({ address: addressOf(to), arrival: replace ? 'REPLACE' : 'PUSH' });
  }, []);
  const router = useMemo(() => ({ ...shown, navigate, latest: () => shown.address }), [shown, navigate]);
  return <RouterContext value={router}>{children}</RouterContext>;
}

/** The parameters of a path, if it is of a pattern: "/images/:id", "/account/*" (also "/account") or "*". */
export function matchPath(pattern: string, pathname: string): Params | null {
  const wanted = pattern.split('/').filter(Boolean);
  const given = pathname.split('/').filter(Boolean);
  const params: Record<string, string> = {};
  for (const [place, part] of wanted.entries()) {
    if (part === '*') return params;
    const found = given[place];
    if (found === undefined) return null;
    if (part.startsWith(':')) params[part.slice(1)] = decoded(found);
    else if (part.toLowerCase() !== found.toLowerCase()) return null;
  }
  return given.length === wanted.length ? params : null;
}

function decoded(part: string): string {
  try {
    return decodeURIComponent(part);
  } catch {
    return part;
  }
}

/** The element of the first pattern that the address is of. */
export function Routes({ routes }: { routes: readonly (readonly [pattern: string, element: ReactNode])[] }) {
  const { pathname } = useAddress();
  for (const [pattern, element] of routes) {
    const params = matchPath(pattern, pathname);
    if (params) return <ParamsContext value={params}>{element}</ParamsContext>;
  }
  return null;
}

export function useAddress(): Address {
  return useRouter().address;
}

export function useArrival(): Arrival {
  return useRouter().arrival;
}

export function useNavigate(): Navigate {
  return useRouter().navigate;
}

export function useParams(): Params {
  return use(ParamsContext);
}

type Change = (before: URLSearchParams) => URLSearchParams | Record<string, string>;

/** The query of the address, and a function that changes it; the same function each time. */
export function useSearchParams(): [URLSearchParams, (next: Change | Record<string, string>, options?: { replace?: boolean }) => void] {
  const { address, navigate, latest } = useRouter();
  const params = useMemo(() => new URLSearchParams(address.search), [address.search]);
  const change = useCallback(
    (next: Change | Record<string, string>, options?: { replace?: boolean }) => {
      const { pathname, search } = latest();
      const query = new URLSearchParams(typeof next === 'function' ? next(new URLSearchParams(search)) : next).toString();
      navigate(query ? `${pathname}?${query}` : pathname, options);
    },
    [navigate, latest],
  );
  return [params, change];
}

interface LinkProps extends AnchorHTMLAttributes<HTMLAnchorElement> {
  to: string;
  replace?: boolean;
  ref?: Ref<HTMLAnchorElement>;
}

export function Link({ to, replace, onClick, children, ...rest }: LinkProps) {
  const { address, navigate } = useRouter();
  const click = (event: MouseEvent<HTMLAnchorElement>) => {
    onClick?.(event);
    const isForBrowser = event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey || (rest.target && rest.target !== '_self');
    if (event.defaultPrevented || isForBrowser) return;
    event.preventDefault();
    navigate(to, { replace: replace ?? to === address.pathname + address.search });
  };
  return (
    <a {...rest} href={to} onClick={click}>
      {children}
    </a>
  );
}

/** A link that says whether it leads to the current page, or with `end` false to one below it. */
export function NavLink({ end = false, className = '', ...rest }: LinkProps & { end?: boolean }) {
  const { pathname } = useAddress();
  const isCurrent = pathname === rest.to || (!end && pathname.startsWith(`${rest.to}/`));
  return <Link {...rest} className={isCurrent ? `${className} active` : className} aria-current={isCurrent ? 'page' : undefined} />;
}

/** Goes elsewhere, and leaves no trace in the history. */
export function Redirect({ to }: { to: string }) {
  const navigate = useNavigate();
  useEffect(() => navigate(to, { replace: true }), [navigate, to]);
  return null;
}
