import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function LibraryPage() {
  const { t } = useTranslation('library');
  return <Page title={t('title')}>{null}</Page>;
}
