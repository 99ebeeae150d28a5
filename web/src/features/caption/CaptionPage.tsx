import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function CaptionPage() {
  const { t } = useTranslation('caption');
  return <Page title={t('title')}>{null}</Page>;
}
