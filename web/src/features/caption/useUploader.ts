import { createContext, useContext } from 'react';
import type { Uploader } from './uploader';

// One per app, so that uploads continue when the user leaves the page.
export const UploaderContext = createContext<Uploader | null>(null);

export function useUploader(): Uploader {
  const uploader = useContext(UploaderContext);
  if (!uploader) throw new Error('no UploaderContext around this component');
  return uploader;
}
