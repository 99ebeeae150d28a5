import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';

export default function GalleryPage() {
  const { t } = useTranslation('gallery');
  return <Page title={t('title')}>{null}</Page>;
}
