import type { ImageOut } from '../api/generated';
import type { PhotoSources } from '../ui/Photo';

/** The files of one size, for `Photo`; null while the server has none yet. */
export function photoSources(urls: ImageOut['urls'], size: 'thumbnail' | 'large' | 'master'): PhotoSources | null {
  const files = urls[size] ?? {};
  const jpeg = files.jpeg ?? files.webp ?? files.avif;
  return jpeg ? { jpeg, webp: files.webp, avif: files.avif } : null;
}

/** As wide as the window allows for a photo of this shape to be seen as a whole: CSS's max-width. */
export function fittingWidth({ width_px, height_px }: Pick<ImageOut, 'width_px' | 'height_px'>): string {
  return `min(100%, calc(78vh * ${width_px / height_px}))`;
}
