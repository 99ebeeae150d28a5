import type { ImageOut } from '../api/generated';
import type { PhotoSources } from '../ui/Photo';

/** The URLs of one size, for `Photo`; null if there are none yet. */
export function photoSources(urls: ImageOut['urls'], size: 'thumbnail' | 'large' | 'master'): PhotoSources | null {
  const files = urls[size] ?? {};
  const jpeg = files.jpeg ?? files.webp ?? files.avif;
  return jpeg ? { jpeg, webp: files.webp, avif: files.avif } : null;
}

/** A CSS max-width at which a photo of this aspect ratio fits into the window. */
export function fittingWidth({ width_px, height_px }: Pick<ImageOut, 'width_px' | 'height_px'>): string {
  return `min(100%, calc(78vh * ${width_px / height_px}))`;
}
