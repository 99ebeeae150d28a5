import { StrictMode, startTransition, useLayoutEffect, type ReactNode } from 'react';
import { createRoot } from 'react-dom/client';
import { BrowserRouter } from 'react-router';
import i18n, { ready } from '@/shared/i18n';
import { App } from './App';
import { fetchNextPages, loadPage } from './routes';
import { makeStore } from './store';

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

/** Put the app in the place of the page that came with index.html. */
export async function start(): Promise<void> {
  const root = document.getElementById('root');
  if (!root) throw new Error('index.html lacks #root');
  await ready;
  tellLanguage(i18n.language);
  i18n.on('languageChanged', tellLanguage);
  await loadPage(location.pathname).catch(() => undefined); // said on the page, with a way out
  const store = makeStore();
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
