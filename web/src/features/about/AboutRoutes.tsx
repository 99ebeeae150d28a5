import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function AboutRoutes() {
  const { t } = useTranslation('about');
  return <Page title={t('title')}>{null}</Page>;
}
