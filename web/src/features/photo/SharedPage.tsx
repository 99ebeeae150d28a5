import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function SharedPage() {
  const { t } = useTranslation('photo');
  return <Page title={t('title')}>{null}</Page>;
}
