import createCache from '@emotion/cache';
import { CacheProvider } from '@emotion/react';
import { renderToStaticMarkup, renderToString } from 'react-dom/server';
import { MemoryRouter } from '@/shared/lib/router';
import i18n, { LANGUAGES, ready } from '@/shared/i18n';
import { App } from './App';
import { loadPage } from './routes';
import { sampleStore } from './samples';
import { makeStore, type Store } from './store';

export interface Painted {
  html: string;
  css: string;
  names: string[]; // Emotion's names of the styles in css
}

/** Render a page without any data: shown while the code is loading. */
export async function prerender(path: string, isFrame: boolean): Promise<Painted> {
  await ready;
  if (!isFrame) await loadPage(path);
  const cache = createCache({ key: 'css' });
  cache.compat = true; // keep the styles in the cache, not in the markup
  const renderWith = (store: Store) =>
    renderToString(
      <CacheProvider value={cache}>
        <MemoryRouter start={path}>
          <App store={store} />
        </MemoryRouter>
      </CacheProvider>,
    );
  const html = renderWith(makeStore());
  renderWith(sampleStore()); // only for its styles
  const styles = Object.entries(cache.inserted).filter((entry): entry is [string, string] => typeof entry[1] === 'string');
  return {
    html,
    css: styles.map(([, style]) => style).join(''),
    names: styles.map(([name]) => name),
  };
}

/** The message shown when the app's code fails to load; CSS shows only the reader's language. */
export async function failure(): Promise<Pick<Painted, 'html' | 'css'>> {
  await ready;
  const languages = Object.keys(LANGUAGES);
  await Promise.all(languages.map((each) => i18n.loadLanguage(each)));
  const css = languages.map((each) => `html:not([lang=${each}]) #failed [lang=${each}]{display:none}`).join('');
  const html = renderToStaticMarkup(
    <div id="failed" role="alert" hidden>
      {languages.map((language) => {
        const t = i18n.translate(['common'], language);
        return (
          <p key={language} lang={language}>
            <strong>{t('state.failed')}.</strong> {t('state.crashedHint')} <button type="button">{t('state.reload')}</button>
          </p>
        );
      })}
    </div>,
  );
  return { html, css };
}
