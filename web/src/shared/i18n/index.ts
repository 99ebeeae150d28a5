import common from './messages/en/common.json';
import { Translator, type Messages } from './translator';

export const LANGUAGES = { en: 'English', de: 'Deutsch' } as const;
export type Language = keyof typeof LANGUAGES;

const STORED = 'cutline-language';

// One file per language and feature, each a chunk that is fetched when its page is opened. English common messages
// are bundled: every page needs them, as the fallback for other languages.
const files = import.meta.glob<{ default: Messages }>(['./messages/*/*.json', '!./messages/en/common.json']);

async function load(language: string, namespace: string): Promise<Messages> {
  const file = files[`./messages/${language}/${namespace}.json`];
  if (!file) throw new Error(`no messages ${language}/${namespace}`);
  return (await file()).default;
}

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

const i18n = new Translator(load, { common });

export const ready = i18n.changeLanguage(preferred());

export default i18n;
