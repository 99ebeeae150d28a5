import '@fontsource-variable/inter/index.css';
import '@fontsource-variable/newsreader/index.css';
import type { ImageOut, PageImageOut } from '@/shared/api/generated';
import { fetchEarly } from '@/shared/api/early';
import { fittingWidth, photoSources } from '@/shared/lib/sources';

const PATIENCE_MS = 1000; // that the code waits for photos
const FIRST_PHOTOS = 4; // of a grid: the others share a slow line with the code

let isRunning = false;

/** Ask for what the page will ask for first, while its code is still on the way. Done when its photos are there. */
async function ask(): Promise<void> {
  void fetchEarly('/api/v1/session');
  const photo = /^\/images\/([\w-]+)$/.exec(location.pathname)?.[1];
  if (photo) {
    void fetchEarly(`/api/v1/images/${photo}/captions?limit=50`);
    await showEarly(`/api/v1/images/${photo}`);
  }
  if (location.pathname === '/gallery' && !location.search) await showEarly('/api/v1/gallery?limit=60');
}

/** Photos are the largest things on their pages: they take their places as soon as it is known which they are. */
async function showEarly(url: string): Promise<void> {
  const answer = await fetchEarly(url);
  if (!answer.ok) return;
  const found = (await answer.clone().json()) as ImageOut | PageImageOut;
  if (isRunning) return;
  const frames = [...document.querySelectorAll<HTMLElement>('[data-photo]')];
  if ('items' in found) {
    const putIn = (from: number, to?: number) =>
      Promise.all(frames.slice(from, to).map((frame, place) => put(found.items[from + place], 'thumbnail', frame)));
    await putIn(0, FIRST_PHOTOS);
    void putIn(FIRST_PHOTOS).catch(() => undefined);
    return;
  }
  const [frame] = frames;
  if (!frame) return;
  frame.style.aspectRatio = `${found.width_px} / ${found.height_px}`;
  frame.style.maxWidth = fittingWidth(found);
  frame.nextElementSibling?.remove(); // it would move, and has nothing to say
  await put(found, 'large', frame);
}

async function put(image: ImageOut | undefined, size: 'thumbnail' | 'large', frame: HTMLElement): Promise<void> {
  const sources = image ? (photoSources(image.urls, size) ?? photoSources(image.urls, 'master')) : null;
  if (!image || !sources) return;
  const photo = Object.assign(new Image(), { alt: image.caption, fetchPriority: 'high', src: sources.avif ?? sources.webp ?? sources.jpeg });
  photo.style.cssText = 'position: absolute; inset: 0; width: 100%; height: 100%; object-fit: cover';
  frame.style.animation = 'none';
  frame.append(photo);
  await photo.decode();
}

/** When the page that came with index.html is on the screen. */
function painted(): Promise<void> {
  return new Promise((resolve) => {
    if (document.hidden) resolve();
    else requestAnimationFrame(() => setTimeout(resolve));
  });
}

/** A break: a phone that reads code for a second does not answer to a finger. */
function pause(): Promise<void> {
  return new Promise((resolve) => setTimeout(resolve));
}

/**
 * Fetch the app's modules, then run one after the other; each is named after what it imports. None runs while
 * others arrive: reading them takes a phone's few cores.
 */
async function runModules(urls: readonly string[]): Promise<void> {
  const fetched: Promise<unknown>[] = [];
  for (const href of urls) {
    const link = Object.assign(document.createElement('link'), { rel: 'modulepreload', href });
    fetched.push(new Promise((resolve) => Object.assign(link, { onload: resolve, onerror: resolve })));
    document.head.append(link);
    if (fetched.length % 4 === 0) await pause();
  }
  await Promise.all(fetched);
  for (const url of urls) {
    await pause();
    await import(/* @vite-ignore */ url).catch(() => undefined); // who needs it asks again, and says so
  }
}

async function start(): Promise<void> {
  const asked = ask().catch(() => undefined); // what failed is told by the page itself
  await painted();
  await Promise.race([asked, new Promise((resolve) => setTimeout(resolve, PATIENCE_MS))]);
  await painted();
  const code = document.querySelector<HTMLMetaElement>('meta[name="cutline:code"]')?.content;
  if (code) await runModules(code.split(' '));
  await Promise.all([import('./theme'), import('./store'), import('@/shared/i18n')]); // chunks of their own
  const main = await import('./main');
  isRunning = true;
  await main.start();
}

start().catch(() => dispatchEvent(new Event('cutline:failed'))); // see public/theme.js
