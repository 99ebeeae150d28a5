import { useMemo, useSyncExternalStore } from 'react';
import i18n from '.';
import type { Translate } from './translator';

const language = () => i18n.language;

/** Translate keys of namespaces, the first one that has a key. Suspends until their messages are loaded. */
export function useTranslation(namespaces: string | readonly string[] = 'common'): { t: Translate; i18n: typeof i18n } {
  const spoken = useSyncExternalStore(i18n.onChange, language, language);
  const names = typeof namespaces === 'string' ? [namespaces] : namespaces;
  if (!i18n.has(names)) throw i18n.loadNamespaces(names); // React waits for it
  const t = i18n.translate(names, spoken);
  return useMemo(() => ({ t, i18n }), [t]);
}
