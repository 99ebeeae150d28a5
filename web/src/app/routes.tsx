import { lazy, type ComponentType } from 'react';
import { Route, Routes } from 'react-router';
import i18n from '@/shared/i18n';
import { NotFound } from './errors';
import { Shell } from './layout/Shell';

// What people go to next is fetched once they begin to do something, so that it is there without a
// connection, too. The first page alone does not wait for it.
const next: (() => Promise<unknown>)[] = [];

export function fetchNextPages(): void {
  const fetchThem = () => {
    removeEventListener('pointerdown', fetchThem);
    removeEventListener('keydown', fetchThem);
    for (const load of next) load().catch(() => undefined); // tried again when the page is opened
  };
  addEventListener('pointerdown', fetchThem);
  addEventListener('keydown', fetchThem);
}

/** A page's code and its words come together, when it is opened. */
function page(namespace: string, load: () => Promise<{ default: ComponentType }>, isNext = false) {
  const both = async () => {
    const [module] = await Promise.all([load(), i18n.loadNamespaces(namespace)]);
    return module;
  };
  if (isNext) next.push(both);
  return lazy(both);
}

const CaptionPage = page('caption', () => import('@/features/caption/CaptionPage'));
const LibraryPage = page('library', () => import('@/features/library/LibraryPage'), true);
const GalleryPage = page('gallery', () => import('@/features/gallery/GalleryPage'), true);
const PhotoPage = page('photo', () => import('@/features/photo/PhotoPage'), true);
const SharedPage = page('photo', () => import('@/features/photo/SharedPage'));
const BulkListPage = page('bulk', () => import('@/features/bulk/BulkListPage'), true);
const BulkPage = page('bulk', () => import('@/features/bulk/BulkPage'));
const AccountRoutes = page('account', () => import('@/features/account/AccountRoutes'));
const AboutRoutes = page('about', () => import('@/features/about/AboutRoutes'));
const DashboardPage = page('dashboard', () => import('@/features/dashboard/DashboardPage'));

export function AppRoutes() {
  return (
    <Routes>
      <Route element={<Shell />}>
        <Route index element={<CaptionPage />} />
        <Route path="library" element={<LibraryPage />} />
        <Route path="gallery" element={<GalleryPage />} />
        <Route path="images/:id" element={<PhotoPage />} />
        <Route path="shared/:token" element={<SharedPage />} />
        <Route path="bulk" element={<BulkListPage />} />
        <Route path="bulk/:id" element={<BulkPage />} />
        <Route path="account/*" element={<AccountRoutes />} />
        <Route path="about/*" element={<AboutRoutes />} />
        <Route path="dashboard" element={<DashboardPage />} />
        <Route path="*" element={<NotFound />} />
      </Route>
    </Routes>
  );
}
