import { useTranslation } from 'react-i18next';
import { Page } from '@/shared/ui/Page';
import { AboutNav } from './AboutNav';

export default function ModelPage() {
  const { t } = useTranslation('about');
  return (
    <Page title={t('model.title')} lead={t('model.lead')} width="md">
      <AboutNav />
    </Page>
  );
}
