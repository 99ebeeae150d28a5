import { StrictMode, startTransition, useLayoutEffect, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter, matchPath } from '@/shared/lib/router';
import { api } from '@/shared/api/generated';
import { listsApi } from '@/shared/api/lists';
import i18n, { ready } from '@/shared/i18n';
import { App } from './App';
import { prefetchPages, loadPage } from './routes';
import { makeStore, type Store } from './store';

const DATA_WAIT_MS = 300; // how long the first render waits for the data that boot.ts prefetches

function setDocumentLanguage(language: string): void {
  document.documentElement.lang = language;
}

/** Make #root interactive: the prerendered page was inert. */
function Interactive({ root, children }: { root: HTMLElement; children: ReactNode }) {
  useLayoutEffect(() => {
    root.removeAttribute('inert');
    root.removeAttribute('aria-hidden');
  }, [root]);
  return children;
}

/** Put the data that boot.ts prefetched into the store, so that the first render already has it. */
async function preloadStore({ dispatch }: Store, path: string): Promise<void> {
  const unsubscribed = { subscribe: false };
  const queries: PromiseLike<unknown>[] = [dispatch(api.endpoints.getSession.initiate({}, unsubscribed))];
  if (path === '/gallery' && !location.search) queries.push(dispatch(listsApi.endpoints.gallery.initiate({ q: '' }, unsubscribed)));
  const imageId = matchPath('/images/:id', path)?.id;
  if (imageId) {
    queries.push(dispatch(api.endpoints.getImage.initiate({ imageId }, unsubscribed)));
    queries.push(dispatch(api.endpoints.listCaptions.initiate({ imageId, styled: false, limit: 50 }, unsubscribed)));
  }
  await Promise.race([Promise.all(queries), new Promise((resolve) => setTimeout(resolve, DATA_WAIT_MS))]);
}

/** Replace the prerendered page with the app. */
export async function start(): Promise<void> {
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html lacks #root');
  await ready;
  setDocumentLanguage(i18n.language);
  i18n.onChange(setDocumentLanguage);
  await loadPage(location.pathname).catch(() => undefined); // the page shows the error
  const store = makeStore();
  await preloadStore(store, location.pathname);
  // A transition renders in small slices, so that the browser stays responsive.
  startTransition(() => {
    createRoot(root).render(
      <StrictMode>
        <Interactive root={root}>
          <BrowserRouter>
            <App store={store} />
          </BrowserRouter>
        </Interactive>
      </StrictMode>,
    );
  });
  prefetchPages();
}
