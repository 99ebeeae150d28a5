import { lazy, Suspense } from 'react';
import { useTranslation } from 'react-i18next';
import { Route, Routes } from 'react-router';
import { Page } from '@/shared/ui/Page';
import { Failure } from '@/shared/ui/StateView';
import { AboutNav } from './AboutNav';
import { TextPage } from './TextPage';

const ModelPage = lazy(() => import('./ModelPage'));
const ApiPage = lazy(() => import('./ApiPage'));

export default function AboutRoutes() {
  return (
    <Suspense fallback={null}>
      <Routes>
        <Route index element={<TextPage name="how" />} />
        <Route path="model" element={<ModelPage />} />
        <Route path="api" element={<ApiPage />} />
        <Route path="terms" element={<TextPage name="terms" />} />
        <Route path="privacy" element={<TextPage name="privacy" />} />
        <Route path="accessibility" element={<TextPage name="accessibility" />} />
        <Route path="*" element={<Missing />} />
      </Routes>
    </Suspense>
  );
}

function Missing() {
  const { t } = useTranslation('about');
  return (
    <Page title={t('title')} width="md">
      <AboutNav />
      <Failure error={{ status: 404 }} />
    </Page>
  );
}
