import createCache from '@emotion/cache';
import { CacheProvider } from '@emotion/react';
import { renderToString } from 'react-dom/server';
import { StaticRouter } from 'react-router';
import { ready } from '@/shared/i18n';
import { App } from './App';
import { loadPage } from './routes';
import { makeStore } from './store';

/** A page as it looks before anything is known of who is there: what is painted while the code is on its way. */
export async function prerender(path: string, isFrame: boolean): Promise<{ html: string; css: string }> {
  await ready;
  if (!isFrame) await loadPage(path);
  const cache = createCache({ key: 'css' });
  cache.compat = true; // keeps the styles in the cache, and out of the markup
  const html = renderToString(
    <CacheProvider value={cache}>
      <StaticRouter location={path}>
        <App store={makeStore()} />
      </StaticRouter>
    </CacheProvider>,
  );
  const css = Object.values(cache.inserted).filter((each) => typeof each === 'string');
  return { html, css: css.join('') };
}
