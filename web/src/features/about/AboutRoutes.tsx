import { lazy, Suspense } from 'react';
import { Routes } from '@/shared/lib/router';
import { TextPage } from './TextPage';

const ModelPage = lazy(() => import('./ModelPage'));
const ApiPage = lazy(() => import('./ApiPage'));

const ROUTES = [
  ['/about', <TextPage key="how" name="how" />],
  ['/about/model', <ModelPage key="model" />],
  ['/about/api', <ApiPage key="api" />],
  ['/about/terms', <TextPage key="terms" name="terms" />],
  ['/about/privacy', <TextPage key="privacy" name="privacy" />],
  ['/about/accessibility', <TextPage key="accessibility" name="accessibility" />],
  ['*', <TextPage key="missing" name="missing" />],
] as const;

export default function AboutRoutes() {
  return (
    <Suspense fallback={null}>
      <Routes routes={ROUTES} />
    </Suspense>
  );
}
