import { StrictMode, startTransition, useLayoutEffect, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter, matchPath } from 'react-router';
import { api } from '@/shared/api/generated';
import { listsApi } from '@/shared/api/lists';
import i18n, { ready } from '@/shared/i18n';
import { App } from './App';
import { fetchNextPages, loadPage } from './routes';
import { makeStore, type Store } from './store';

const PATIENCE_MS = 300; // that the first rendering waits for answers which boot.ts asked for

function tellLanguage(language: string): void {
  document.documentElement.lang = language;
}

/** What was painted first answers to nobody; what takes its place does. */
function Answering({ root, children }: { root: HTMLElement; children: ReactNode }) {
  useLayoutEffect(() => {
    root.removeAttribute('inert');
    root.removeAttribute('aria-hidden');
  }, [root]);
  return children;
}

/** Lay the answers that boot.ts asked for in the store: what is rendered with them need not be rendered again. */
async function takeAnswers({ dispatch }: Store, path: string): Promise<void> {
  const unheld = { subscribe: false };
  const taken: PromiseLike<unknown>[] = [dispatch(api.endpoints.getSession.initiate({}, unheld))];
  if (path === '/gallery' && !location.search) taken.push(dispatch(listsApi.endpoints.gallery.initiate({ q: '' }, unheld)));
  const imageId = matchPath('/images/:id', path)?.params.id;
  if (imageId) {
    taken.push(dispatch(api.endpoints.getImage.initiate({ imageId }, unheld)));
    taken.push(dispatch(api.endpoints.listCaptions.initiate({ imageId, limit: 50 }, unheld)));
  }
  await Promise.race([Promise.all(taken), new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
}

/** Put the app in the place of the page that came with index.html. */
export async function start(): Promise<void> {
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html lacks #root');
  await ready;
  tellLanguage(i18n.language);
  i18n.on('languageChanged', tellLanguage);
  await loadPage(location.pathname).catch(() => undefined); // said on the page, with a way out
  const store = makeStore();
  await takeAnswers(store, location.pathname);
  // A transition is rendered in small slices, between which the browser answers to people.
  startTransition(() => {
    createRoot(root).render(
      <StrictMode>
        <Answering root={root}>
          <BrowserRouter>
            <App store={store} />
          </BrowserRouter>
        </Answering>
      </StrictMode>,
    );
  });
  fetchNextPages();
}
