import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function BulkPage() {
  const { t } = useTranslation('bulk');
  return <Page title={t('title')}>{null}</Page>;
}
