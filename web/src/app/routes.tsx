import { lazy, useState, type ComponentType } from 'react';
import { matchPath, Routes } from '@/shared/lib/router';
import i18n from '@/shared/i18n';
import { prefetchParts } from '@/shared/lib/lazyPart';
import { NotFound } from './errors';
import { Shell } from './layout/Shell';

interface AppPage {
  path: string;
  isPrefetched: boolean;
  load: () => Promise<unknown>;
  Page: ComponentType;
}

/** A page whose code and messages are loaded together when it is opened. */
function page(path: string, namespace: string, load: () => Promise<{ default: ComponentType }>, isPrefetched = false): AppPage {
  let loaded: ComponentType | null = null;
  const both = async () => {
    const [module] = await Promise.all([load(), i18n.loadNamespaces(namespace)]);
    loaded = module.default;
    return module;
  };
  const Lazy = lazy(both);
  function Page() {
    const [Shown] = useState(() => loaded ?? Lazy); // no suspense if it is already loaded
    return <Shown />;
  }
  return { path, isPrefetched, load: both, Page };
}

const PAGES: readonly AppPage[] = [
  page('/', 'caption', () => import('@/features/caption/CaptionPage')),
  page('/library', 'library', () => import('@/features/library/LibraryPage'), true),
  page('/library/copies', 'library', () => import('@/features/library/CopiesPage')),
  page('/gallery', 'gallery', () => import('@/features/gallery/GalleryPage'), true),
  page('/images/:id', 'photo', () => import('@/features/photo/PhotoPage'), true),
  page('/shared/:token', 'photo', () => import('@/features/photo/SharedPage')),
  page('/bulk', 'bulk', () => import('@/features/bulk/BulkListPage'), true),
  page('/bulk/:id', 'bulk', () => import('@/features/bulk/BulkPage')),
  page('/account/*', 'account', () => import('@/features/account/AccountRoutes')),
  page('/about/*', 'about', () => import('@/features/about/AboutRoutes')),
  page('/models', 'models', () => import('@/features/models/ModelsPage')),
  page('/dashboard', 'dashboard', () => import('@/features/dashboard/DashboardPage')),
];

/** Load the page of a path, so that it can be rendered immediately. */
export async function loadPage(address: string): Promise<void> {
  await PAGES.find(({ path }) => matchPath(path, address))?.load();
}

// What the first page does not wait for: its parts are fetched once it is there, and the pages that people visit next at
// the first interaction, so that they also work offline.
export function prefetchPages(): void {
  prefetchParts('page');
  const prefetch = () => {
    removeEventListener('pointerdown', prefetch);
    removeEventListener('keydown', prefetch);
    // A failed one is retried when the page is opened.
    for (const { load } of PAGES.filter(({ isPrefetched }) => isPrefetched)) load().catch(() => undefined);
    prefetchParts('interaction');
  };
  addEventListener('pointerdown', prefetch);
  addEventListener('keydown', prefetch);
}

const ROUTES = [...PAGES.map(({ path, Page }) => [path, <Page key={path} />] as const), ['*', <NotFound key="*" />] as const];

export function AppRoutes() {
  return (
    <Shell>
      <Routes routes={ROUTES} />
    </Shell>
  );
}
