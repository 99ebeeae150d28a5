import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import { styled } from '@mui/material/styles';
import { useWindowVirtualizer } from '@tanstack/react-virtual';
import { memo, useEffect, useLayoutEffect, useRef, useState, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import type { ImageOut } from '../api/generated';
import { useCaptionLanguage } from '../api/viewer';
import { photoSources } from '../lib/sources';
import { Photo } from './Photo';

const MIN_CELL_PX = 230;
const GAP_PX = 16;
const CAPTION_PX = 62; // two lines and the gap to the photo
const AUTO_LOADED_PAGES = 3; // then a button loads more, so that the footer stays reachable
const SETTLE_MS = 150; // photos that scroll past faster are not fetched

function columnsIn(width: number): number {
  return Math.max(2, Math.floor((width + GAP_PX) / (MIN_CELL_PX + GAP_PX)));
}

function placeOf(node: Element | null): { width: number; top: number } {
  return { width: node?.clientWidth ?? 0, top: (node?.getBoundingClientRect().top ?? 0) + scrollY };
}

function useWidth() {
  const element = useRef<HTMLDivElement>(null);
  // Initially that of the skeleton, which is in the grid's place.
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
  pages: number; // loaded so far
  hasMore: boolean;
  isLoadingMore: boolean;
  onMore: () => void;
  corner?: (image: ImageOut) => ReactNode; // a checkbox, a menu
}

/**
 * A virtualized grid: only the rows near the window are rendered. All cells have the same size, so that nothing
 * shifts when a photo or a caption arrives.
 */
export function PhotoGrid({ images, label, pages, hasMore, isLoadingMore, onMore, corner }: PhotoGridProps) {
  const { t } = useTranslation();
  const languageOf = useCaptionLanguage(); // once per grid, because scrolling renders hundreds of cells per second
  const { element, width, top } = useWidth();
  const columns = columnsIn(width);
  const cell = (width - GAP_PX * (columns - 1)) / columns;
  const rowHeight = cell * 0.75 + CAPTION_PX + GAP_PX;
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
  const mayLoad = hasMore && !isLoadingMore && pages < AUTO_LOADED_PAGES;
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
                  isScrolling={virtual.isScrolling}
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

/** Whether a cell stays in view: true immediately when not scrolling, otherwise after a delay. */
function useSettled(isScrolling: boolean): boolean {
  const [isSettled, setSettled] = useState(!isScrolling);
  useEffect(() => {
    if (isSettled) return undefined;
    const timer = setTimeout(() => setSettled(true), SETTLE_MS);
    return () => clearTimeout(timer);
  }, [isSettled]);
  return isSettled;
}

// Scrolling renders hundreds of cells per second, so their styles are created only once.
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
const Caption = styled('p')(({ theme }) => ({
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
  size: number; // of the list; -1 if unknown
  place: number; // in the list
  height: number;
  isScrolling: boolean;
  corner: PhotoGridProps['corner'];
  language: string | undefined; // of the caption
}

const Cell = memo(function Cell({ image, size, place, height, isScrolling, corner, language }: CellProps) {
  const { t } = useTranslation();
  const isSettled = useSettled(isScrolling);
  const words = image.caption || t('photo.noCaption');
  const sources = isSettled ? photoSources(image.urls, 'thumbnail') : null;
  return (
    <CellFrame role="listitem" aria-setsize={size} aria-posinset={place} style={{ height }}>
      <PhotoLink to={`/images/${image.id}`} lang={language}>
        <GridPhoto
          sources={sources}
          alt={image.description || words}
          width={4}
          height={3}
          placeholder={image.placeholder}
        />
        {/* The photo's alt text says the same, but for captions in a voice; announce it only once. */}
        <Caption aria-hidden={sources !== null && !image.styled} data-empty={image.caption ? undefined : ''}>
          {words}
        </Caption>
      </PhotoLink>
      {corner && isSettled ? <Corner>{corner(image)}</Corner> : null}
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
      sx={{ display: 'grid', gap: `${GAP_PX}px`, gridTemplateColumns: `repeat(auto-fill, minmax(min(45%, ${MIN_CELL_PX}px), 1fr))` }}
    >
      {Array.from({ length: 12 }, (_, place) => (
        <div key={place}>
          <Skeleton data-photo variant="rounded" sx={{ position: 'relative', overflow: 'hidden', aspectRatio: '4 / 3', height: 'auto', borderRadius: '14px' }} />
          <Box sx={{ height: CAPTION_PX, pt: 1 }}>
            <Skeleton />
            <Skeleton sx={{ width: '60%' }} />
          </Box>
        </div>
      ))}
    </Box>
  );
}
