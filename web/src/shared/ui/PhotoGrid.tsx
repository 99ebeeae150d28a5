import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import { styled } from '@mui/material/styles';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from 'react-i18next';
import { Link } from 'react-router';
import type { ImageOut } from '../api/generated';
import { useCaptionLanguage } from '../api/viewer';
import { photoSources } from '../lib/sources';
import { Photo } from './Photo';

const CELL_PX = 230; // at least so wide
const GAP_PX = 16;
const WORDS_PX = 62; // two lines and what keeps them from the photo
const LOAD_BY_ITSELF = 3; // pages; then the footer is reachable, and a button goes on
const STAY_MS = 150; // so long a photo that scrolls by must stay before it is fetched and decoded

function columnsIn(width: number): number {
  return Math.max(2, Math.floor((width + GAP_PX) / (CELL_PX + GAP_PX)));
}

function placeOf(node: Element | null): { width: number; top: number } {
  return { width: node?.clientWidth ?? 0, top: (node?.getBoundingClientRect().top ?? 0) + scrollY };
}

function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  // At first that of the skeleton, which stands where the grid will.
  const [box, setBox] = useState(() =>
    typeof document === 'undefined' ? { width: innerWidth, top: 0 } : placeOf(document.querySelector('[data-grid]')),
  );
  useLayoutEffect(() => {
    const node = element.current;
    if (!node) return undefined;
    const measure = () => {
      const now = placeOf(node);
      setBox((before) => (before.width === now.width && before.top === now.top ? before : now));
    };
    measure();
    const observer = new ResizeObserver(measure);
    observer.observe(node);
    observer.observe(document.body);
    return () => observer.disconnect();
  }, []);
  return { element, ...box };
}

interface PhotoGridProps {
  images: ImageOut[];
  label: string;
  pages: number; // that have been loaded
  hasMore: boolean;
  isLoadingMore: boolean;
  onMore: () => void;
  corner?: (image: ImageOut) => ReactNode; // a checkbox, a menu
}

/**
 * A grid of any number of photos: only the rows near the window exist, so ten thousand scroll as ten do.
 * Cells are of one size, so that nothing moves when a photo or a caption arrives.
 */
export function PhotoGrid({ images, label, pages, hasMore, isLoadingMore, onMore, corner }: PhotoGridProps) {
  const { t } = useTranslation();
  const languageOf = useCaptionLanguage(); // asked once: hundreds of cells come and go in a second
  const { element, width, top } = useWidth();
  const columns = columnsIn(width);
  const cell = (width - GAP_PX * (columns - 1)) / columns;
  const rowHeight = cell * 0.75 + WORDS_PX + GAP_PX;
  const rows = Math.ceil(images.length / columns);
  const virtual = useWindowVirtualizer({
    count: rows,
    estimateSize: () => rowHeight,
    overscan: 3,
    scrollMargin: top,
    initialRect: { width: innerWidth, height: innerHeight },
  });
  const measured = useRef(rowHeight);
  useEffect(() => {
    if (measured.current === rowHeight) return;
    measured.current = rowHeight;
    virtual.measure();
  }, [virtual, rowHeight]);
  const items = virtual.getVirtualItems();
  const isNearEnd = (items.at(-1)?.index ?? 0) >= rows - 2;
  const mayLoad = hasMore && !isLoadingMore && pages < LOAD_BY_ITSELF;
  useEffect(() => {
    if (isNearEnd && mayLoad) onMore();
  }, [isNearEnd, mayLoad, onMore]);

  return (
    <Box ref={element}>
      {width > 0 ? (
        <Box role="list" aria-label={label} sx={{ position: 'relative', height: virtual.getTotalSize() }}>
          {items.map((row) => (
            <Box
              key={row.key}
              role="presentation"
              sx={{ display: 'grid', gap: `${GAP_PX}px`, gridTemplateColumns: `repeat(${columns}, 1fr)` }}
              style={{ position: 'absolute', insetInline: 0, top: 0, transform: `translateY(${row.start - top}px)` }}
            >
              {images.slice(row.index * columns, (row.index + 1) * columns).map((image, place) => (
                <Cell
                  key={image.id}
                  image={image}
                  size={hasMore ? -1 : images.length}
                  place={row.index * columns + place + 1}
                  height={rowHeight - GAP_PX}
                  isPassing={virtual.isScrolling}
                  corner={corner}
                  language={image.caption ? languageOf(image.caption_by) : undefined}
                />
              ))}
            </Box>
          ))}
        </Box>
      ) : null}
      {hasMore ? (
        <Box sx={{ textAlign: 'center', py: 3 }}>
          <Button variant="outlined" onClick={onMore} disabled={isLoadingMore}>
            {t(isLoadingMore ? 'state.loading' : 'action.loadMore')}
          </Button>
        </Box>
      ) : null}
    </Box>
  );
}

/** Whether somebody may be looking: at once where nothing moves, else when it has not gone by. */
function useStays(isPassing: boolean): boolean {
  const [stays, setStays] = useState(!isPassing);
  useEffect(() => {
    if (stays) return undefined;
    const timer = setTimeout(() => setStays(true), STAY_MS);
    return () => clearTimeout(timer);
  }, [stays]);
  return stays;
}

// Scrolling makes hundreds of cells a second: their styles are made once, not for each.
const CellFrame = styled('div')({ position: 'relative', minWidth: 0 });
const Corner = styled('div')({ position: 'absolute', top: 6, right: 6 });
const PhotoLink = styled(Link)({
  color: 'var(--mui-palette-text-primary)',
  textDecoration: 'none',
  display: 'block',
  borderRadius: 14,
  '&:hover p': { textDecoration: 'underline' },
});
const GridPhoto = styled(Photo)({ borderRadius: 14, border: '1px solid var(--mui-palette-divider)' });
const Words = styled('p')(({ theme }) => ({
  ...theme.typography.h3,
  margin: '8px 0 0',
  fontWeight: 450,
  fontSize: '1.02rem',
  display: '-webkit-box',
  WebkitLineClamp: 2,
  WebkitBoxOrient: 'vertical',
  overflow: 'hidden',
  '&[data-empty]': { color: 'var(--mui-palette-text-secondary)' },
}));

interface CellProps {
  image: ImageOut;
  size: number; // of the whole, where it is known
  place: number; // in it
  height: number;
  isPassing: boolean;
  corner: PhotoGridProps['corner'];
  language: string | undefined; // of the caption
}

const Cell = memo(function Cell({ image, size, place, height, isPassing, corner, language }: CellProps) {
  const { t } = useTranslation();
  const stays = useStays(isPassing);
  const words = image.caption || t('photo.noCaption');
  const sources = stays ? photoSources(image.urls, 'thumbnail') : null;
  return (
    <CellFrame role="listitem" aria-setsize={size} aria-posinset={place} style={{ height }}>
      <PhotoLink to={`/images/${image.id}`} lang={language}>
        <GridPhoto
          sources={sources}
          alt={words}
          width={4}
          height={3}
          placeholder={image.placeholder}
        />
        {/* The photo says the same: heard once. */}
        <Words aria-hidden={sources !== null} data-empty={image.caption ? undefined : ''}>
          {words}
        </Words>
      </PhotoLink>
      {corner && stays ? <Corner>{corner(image)}</Corner> : null}
    </CellFrame>
  );
});

export function PhotoGridSkeleton() {
  const { t } = useTranslation();
  return (
    <Box
      role="status"
      aria-label={t('state.loading')}
      data-grid
      sx={{ display: 'grid', gap: `${GAP_PX}px`, gridTemplateColumns: `repeat(auto-fill, minmax(min(45%, ${CELL_PX}px), 1fr))` }}
    >
      {Array.from({ length: 12 }, (_, place) => (
        <div key={place}>
          <Skeleton data-photo variant="rounded" sx={{ position: 'relative', overflow: 'hidden', aspectRatio: '4 / 3', height: 'auto', borderRadius: '14px' }} />
          <Box sx={{ height: WORDS_PX, pt: 1 }}>
            <Skeleton />
            <Skeleton sx={{ width: '60%' }} />
          </Box>
        </div>
      ))}
    </Box>
  );
}
