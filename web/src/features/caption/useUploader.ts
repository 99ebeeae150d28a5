import { createContext, useContext } from 'react';
import type { Uploader } from './uploader';

// One for the app, so that sending goes on when its page is left.
export const UploaderContext = createContext<Uploader | null>(null);

export function useUploader(): Uploader {
  const uploader = useContext(UploaderContext);
  if (!uploader) throw new Error('no UploaderContext around this component');
  return uploader;
}
