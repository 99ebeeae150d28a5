import { useTranslation } from 'react-i18next';

/** What things are called in the page's language, by their English names. */
export function useNames(of: 'tones' | 'reasons'): Readonly<Record<string, string>> {
  const { t } = useTranslation('voice');
  return t(of, { returnObjects: true }) as Record<string, string>;
}
