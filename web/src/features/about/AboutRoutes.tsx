import { lazy, Suspense } from 'react';
import { Route, Routes } from 'react-router';
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
        <Route path="*" element={<TextPage name="missing" />} />
      </Routes>
    </Suspense>
  );
}
