import { lazy, useState, type ComponentType } from 'react';
import { matchPath, Route, Routes } from 'react-router';
import i18n from '@/shared/i18n';
import { fetchParts } from '@/shared/lib/later';
import { NotFound } from './errors';
import { Shell } from './layout/Shell';

interface PageOfTheApp {
  path: string;
  isNext: boolean;
  load: () => Promise<unknown>;
  Page: ComponentType;
}

/** A page's code and its words come together, when it is opened. */
function page(path: string, namespace: string, load: () => Promise<{ default: ComponentType }>, isNext = false): PageOfTheApp {
  let loaded: ComponentType | null = null;
  const both = async () => {
    const [module] = await Promise.all([load(), i18n.loadNamespaces(namespace)]);
    loaded = module.default;
    return module;
  };
  const Lazy = lazy(both);
  function Page() {
    const [Shown] = useState(() => loaded ?? Lazy); // what is there already needs no waiting
    return <Shown />;
  }
  return { path, isNext, load: both, Page };
}

const PAGES: readonly PageOfTheApp[] = [
  page('/', 'caption', () => import('@/features/caption/CaptionPage')),
  page('/library', 'library', () => import('@/features/library/LibraryPage'), true),
  page('/gallery', 'gallery', () => import('@/features/gallery/GalleryPage'), true),
  page('/images/:id', 'photo', () => import('@/features/photo/PhotoPage'), true),
  page('/shared/:token', 'photo', () => import('@/features/photo/SharedPage')),
  page('/bulk', 'bulk', () => import('@/features/bulk/BulkListPage'), true),
  page('/bulk/:id', 'bulk', () => import('@/features/bulk/BulkPage')),
  page('/account/*', 'account', () => import('@/features/account/AccountRoutes')),
  page('/about/*', 'about', () => import('@/features/about/AboutRoutes')),
  page('/dashboard', 'dashboard', () => import('@/features/dashboard/DashboardPage')),
];

/** Fetch the page of an address, so that it can be shown at once. */
export async function loadPage(address: string): Promise<void> {
  await PAGES.find(({ path }) => matchPath(path, address))?.load();
}

// What people go to next is fetched once they begin to do something, so that it is there without a
// connection, too. The first page alone does not wait for it.
export function fetchNextPages(): void {
  const fetchThem = () => {
    removeEventListener('pointerdown', fetchThem);
    removeEventListener('keydown', fetchThem);
    // One that fails is tried again when the page is opened.
    for (const { load } of PAGES.filter(({ isNext }) => isNext)) load().catch(() => undefined);
    fetchParts();
  };
  addEventListener('pointerdown', fetchThem);
  addEventListener('keydown', fetchThem);
}

export function AppRoutes() {
  return (
    <Routes>
      <Route element={<Shell />}>
        {PAGES.map(({ path, Page }) => (
          <Route key={path} path={path} element={<Page />} />
        ))}
        <Route path="*" element={<NotFound />} />
      </Route>
    </Routes>
  );
}
