import i18n, { type BackendModule } from 'i18next';
import { initReactI18next } from 'react-i18next';
import common from './messages/en/common.json';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

const STORED = 'cutline-language';

// One file per language and feature, each a chunk that is fetched when its page is opened. English common messages
// are bundled: every page needs them, as the fallback for other languages.
const files = import.meta.glob<{ default: Record<string, unknown> }>(['./messages/*/*.json', '!./messages/en/common.json']);

const backend: BackendModule = {
  type: 'backend',
  init: () => undefined,
  read: (language, namespace, done) => {
    const load = files[`./messages/${language}/${namespace}.json`];
    if (!load) {
      done(new Error(`no messages ${language}/${namespace}`), null);
      return;
    }
    load().then(
      (file) => done(null, file.default),
      (error: unknown) => done(error instanceof Error ? error : new Error(String(error)), null),
    );
  },
};

function isLanguage(value: string | null | undefined): value is Language {
  return value !== null && value !== undefined && value in LANGUAGES;
}

function preferred(): Language {
  let stored: string | null = null;
  try {
    stored = localStorage.getItem(STORED);
  } catch {
    // Storage may be blocked; use the browser's preference.
  }
  if (isLanguage(stored)) return stored;
  return navigator.languages.map((each) => each.slice(0, 2)).find(isLanguage) ?? 'en';
}

export function setLanguage(language: Language): void {
  try {
    localStorage.setItem(STORED, language);
  } catch {
    // The choice then lasts for this page only.
  }
  void i18n.changeLanguage(language);
}

export const ready = i18n
  .use(backend)
  .use(initReactI18next)
  .init({
    lng: preferred(),
    fallbackLng: 'en',
    supportedLngs: Object.keys(LANGUAGES),
    ns: ['common'],
    defaultNS: 'common',
    partialBundledLanguages: true,
    resources: { en: { common } },
    interpolation: { escapeValue: false }, // React escapes
    react: { useSuspense: true },
  });

export default i18n;
