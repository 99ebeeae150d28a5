import { useTranslation } from '@/shared/i18n/useTranslation';

/** What things are called in the page's language, by their English names. */
export function useNames(of: 'tones' | 'reasons'): Readonly<Record<string, string>> {
  const { i18n } = useTranslation('voice');
  return (i18n.content('voice', of) ?? {}) as Record<string, string>;
}
