import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/newsreader/index.css';
import 'virtual:theme.css';
import type { ImageOut, PageImageOut } from '@/shared/api/generated';
import { fetchEarly } from '@/shared/api/early';
import { fittingWidth, photoSources } from '@/shared/lib/sources';

const PHOTO_WAIT_MS = 1000; // how long loading the code waits for photos
const FIRST_PHOTOS = 4; // photos of a grid that load before the code; the rest load alongside it

let isAppRunning = false;

/** Prefetch the page's first data while its code is loading. Resolves when the first photos are shown. */
async function prefetchData(): Promise<void> {
  void fetchEarly('/api/v1/session');
  const photo = /^\/images\/([\w-]+)$/.exec(location.pathname)?.[1];
  if (photo) {
    void fetchEarly(`/api/v1/images/${photo}/captions?styled=false&limit=50`);
    await showEarly(`/api/v1/images/${photo}`);
  }
  if (location.pathname === '/gallery' && !location.search) await showEarly('/api/v1/gallery?limit=60');
}

/** Show photos, the largest elements of their pages, in the skeleton as soon as their URLs are known. */
async function showEarly(url: string): Promise<void> {
  const answer = await fetchEarly(url);
  if (!answer.ok) return;
  const found = (await answer.clone().json()) as ImageOut | PageImageOut;
  if (isAppRunning) return;
  const frames = [...document.querySelectorAll<HTMLElement>('[data-photo]')];
  if ('items' in found) {
    const showRange = (from: number, to?: number) =>
      Promise.all(frames.slice(from, to).map((frame, place) => showPhoto(found.items[from + place], 'thumbnail', frame)));
    await showRange(0, FIRST_PHOTOS);
    void showRange(FIRST_PHOTOS).catch(() => undefined);
    return;
  }
  const [frame] = frames;
  if (!frame) return;
  frame.style.aspectRatio = `${found.width_px} / ${found.height_px}`;
  frame.style.maxWidth = fittingWidth(found);
  frame.nextElementSibling?.remove(); // the text skeleton; it would shift
  await showPhoto(found, 'large', frame);
}

async function showPhoto(image: ImageOut | undefined, size: 'thumbnail' | 'large', frame: HTMLElement): Promise<void> {
  const sources = image ? (photoSources(image.urls, size) ?? photoSources(image.urls, 'master')) : null;
  if (!image || !sources) return;
  const photo = Object.assign(new Image(), { alt: image.caption, fetchPriority: 'high', src: sources.avif ?? sources.webp ?? sources.jpeg });
  photo.style.cssText = 'position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover';
  frame.style.animation = 'none';
  frame.append(photo);
  await photo.decode();
}

/** Resolves after the prerendered page has been painted. */
function afterPaint(): Promise<void> {
  return new Promise((resolve) => {
    if (document.hidden) resolve();
    else requestAnimationFrame(() => setTimeout(resolve));
  });
}

/** Yield to the browser: a phone that parses code for a second does not respond to taps. */
function yieldToBrowser(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/**
 * Fetch all of the app's modules, then run them one by one, dependencies first. Running them while others still
 * download would compete for a phone's few cores.
 */
async function runModules(urls: readonly string[]): Promise<void> {
  const fetched: Promise<unknown>[] = [];
  for (const href of urls) {
    const link = Object.assign(document.createElement('link'), { rel: 'modulepreload', href });
    fetched.push(new Promise((resolve) => Object.assign(link, { onload: resolve, onerror: resolve })));
    document.head.append(link);
    if (fetched.length % 4 === 0) await yieldToBrowser();
  }
  await Promise.all(fetched);
  for (const url of urls) {
    await yieldToBrowser();
    await import(/* @vite-ignore */ url).catch(() => undefined); // whatever imports it tries again and reports the error
  }
}

async function start(): Promise<void> {
  const prefetched = prefetchData().catch(() => undefined); // the page shows its own errors
  await afterPaint();
  await Promise.race([prefetched, new Promise((resolve) => setTimeout(resolve, PHOTO_WAIT_MS))]);
  await afterPaint();
  const code = document.querySelector<HTMLMetaElement>('meta[name="cutline:code"]')?.content;
  if (code) await runModules(code.split(' '));
  await Promise.all([import('./theme'), import('./store'), import('@/shared/i18n')]); // separate chunks
  const main = await import('./main');
  isAppRunning = true;
  await main.start();
}

start().catch(() => dispatchEvent(new Event('cutline:failed'))); // see public/theme.js
