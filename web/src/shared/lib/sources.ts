import type { ImageOut } from '../api/generated';
import type { PhotoSources } from '../ui/Photo';

/** The files of one size, for `Photo`; null while the server has none yet. */
export function photoSources(urls: ImageOut['urls'], size: 'thumbnail' | 'large' | 'master'): PhotoSources | null {
  const files = urls[size] ?? {};
  const jpeg = files.jpeg ?? files.webp ?? files.avif;
  return jpeg ? { jpeg, webp: files.webp, avif: files.avif } : null;
}
