import type { Rolldown } from 'vite';
import { describe, expect, it } from 'vitest';
import { neededBy } from '../needs.ts';

function bundle(...chunks: Partial<Rolldown.OutputChunk>[]): Rolldown.OutputBundle {
  const whole = chunks.map((chunk) => ({ type: 'chunk', isEntry: false, imports: [], dynamicImports: [], moduleIds: [], ...chunk }));
  return Object.fromEntries(whole.map((chunk) => [chunk.fileName, chunk])) as unknown as Rolldown.OutputBundle;
}

const PAGE = '/gallery/GalleryPage.tsx';
const APP = [
  { fileName: 'gallery.js', moduleIds: [`/web/src/features${PAGE}`], imports: ['grid.js', 'main.js'] },
  { fileName: 'grid.js', imports: ['react.js'] },
  { fileName: 'photo.js', moduleIds: ['/web/src/features/photo/PhotoPage.tsx'], imports: ['grid.js'] },
  { fileName: 'main.js', moduleIds: ['/web/src/app/main.tsx'], imports: ['react.js', 'store.js'], dynamicImports: ['menu.js'] },
  { fileName: 'menu.js' },
  { fileName: 'store.js', moduleIds: ['/web/src/app/theme.ts', '/web/src/app/store.ts', '/web/src/shared/i18n/index.ts'], imports: ['react.js'] },
  { fileName: 'react.js', imports: ['entry.js'] },
  { fileName: 'entry.js', isEntry: true, imports: ['react.js'] }, // each wants the other: it still ends
];

describe('neededBy', () => {
  it.each(['', PAGE])('names each chunk once, after its imports (%j)', (page) => {
    const names = neededBy(page, bundle(...APP)).map(({ fileName }) => fileName);
    expect(new Set(names).size).toBe(names.length);
    for (const { fileName, imports = [] } of APP.filter((chunk) => names.includes(chunk.fileName))) {
      for (const name of fileName === 'react.js' ? [] : imports) expect(names.indexOf(name)).toBeLessThan(names.indexOf(fileName));
    }
  });

  it('is what the app always loads, plus the chunks of the page', () => {
    const names = (page: string) => neededBy(page, bundle(...APP)).map(({ fileName }) => fileName).sort();
    expect(names('')).toEqual(['entry.js', 'main.js', 'react.js', 'store.js']);
    expect(names(PAGE)).toEqual(['entry.js', 'gallery.js', 'grid.js', 'main.js', 'react.js', 'store.js']);
  });

  it('fails the build if a module is missing', () => {
    expect(() => neededBy('/gallery/NoPage.tsx', bundle(...APP))).toThrow('/gallery/NoPage.tsx is in no chunk');
  });
});
