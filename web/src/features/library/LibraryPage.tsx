import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Checkbox from '@mui/material/Checkbox';
import MenuItem from '@mui/material/MenuItem';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { skipToken } from '@reduxjs/toolkit/query';
import { Suspense, useCallback, useMemo, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link, useSearchParams } from '@/shared/lib/router';
import { useLibraryInfiniteQuery, type LibraryFilters } from '@/shared/api/lists';
import { lazyPart } from '@/shared/lib/lazyPart';
import { useSearchImagesQuery } from '@/shared/likeness/generated';
import { Page } from '@/shared/ui/Page';
import { PhotoGrid, PhotoGridSkeleton } from '@/shared/ui/PhotoGrid';
import { SearchField } from '@/shared/ui/SearchField';
import { Message, QueryView } from '@/shared/ui/StateView';
import { SelectionBar } from './SelectionBar';

const ExportMenu = lazyPart(() => import('./ExportMenu'));

const VISIBILITIES = ['', 'private', 'unlisted', 'public'] as const;
const STATES = ['', 'done', 'queued', 'running', 'failed'] as const;
const ORDERS = ['newest', 'oldest', 'best'] as const;
const RANKED = 200; // photos of a search by what fits best

function choice<T extends string>(value: string | null, choices: readonly T[]): T {
  return choices.find((each) => each === value) ?? (choices[0] as T);
}

export default function LibraryPage() {
  const { t } = useTranslation('library');
  const [address, setAddress] = useSearchParams();
  const order = choice(address.get('order'), ORDERS);
  const isRanked = order === 'best' && Boolean(address.get('q')?.trim());
  const filters: LibraryFilters = {
    q: address.get('q') ?? '',
    tag: address.getAll('tag'),
    visibility: choice(address.get('visibility'), VISIBILITIES),
    state: choice(address.get('state'), STATES),
    order: order === 'best' ? 'newest' : order,
  };
  const isFiltered = Boolean(filters.q || filters.tag?.length || filters.visibility || filters.state);
  const list = useLibraryInfiniteQuery(isRanked ? skipToken : filters);
  const { q, tag, visibility, state } = filters;
  const ranked = useSearchImagesQuery(isRanked ? { q, tag, visibility, state, limit: RANKED } : skipToken);
  const query = isRanked ? ranked : list;
  const images = useMemo(
    () => (isRanked ? ranked.data?.items.map((each) => each.image) : list.data?.pages.flatMap((page) => page.items)) ?? [],
    [isRanked, ranked.data, list.data],
  );
  const [selected, setSelected] = useState<ReadonlySet<string>>(new Set());
  const [exporting, setExporting] = useState<HTMLElement | null>(null);

  const set = useCallback(
    (name: string, value: string) =>
      setAddress(
        (before) => {
          const after = new URLSearchParams(before);
          if (value) after.set(name, value);
          else after.delete(name);
          return after;
        },
        { replace: true },
      ),
    [setAddress],
  );
  const search = useCallback((text: string) => set('q', text), [set]);
  const { fetchNextPage } = list;
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setSelected(next);
  };

  return (
    <Page
      title={t('title')}
      width="xl"
      actions={
        <Stack direction="row" spacing={1}>
          <Button component={Link} to="/library/copies" variant="outlined">
            {t('copies.open')}
          </Button>
          <Button
            variant="outlined"
            aria-haspopup="menu"
            aria-expanded={exporting !== null}
            onClick={(event) => setExporting(event.currentTarget)}
          >
            {t('export.button')}
          </Button>
        </Stack>
      }
    >
      {exporting ? (
        <Suspense fallback={null}>
          <ExportMenu anchor={exporting} filters={filters} onClose={() => setExporting(null)} />
        </Suspense>
      ) : null}
      <Box
        role="search"
        sx={{ display: 'grid', gap: 1.5, mb: 3, gridTemplateColumns: { xs: '1fr 1fr', md: 'minmax(240px, 2fr) repeat(3, minmax(130px, 1fr))' }, '& > :first-of-type, & > :last-of-type': { gridColumn: { xs: '1 / -1', md: 'auto' } } }}
      >
        <SearchField label={t('search')} value={filters.q ?? ''} onSearch={search} />
        <TextField select label={t('visibility.label')} value={filters.visibility} onChange={(event) => set('visibility', event.target.value)} slotProps={{ select: { displayEmpty: true }, inputLabel: { shrink: true } }}>
          {VISIBILITIES.map((each) => (
            <MenuItem key={each} value={each}>
              {t(`visibility.${each || 'all'}`)}
            </MenuItem>
          ))}
        </TextField>
        <TextField select label={t('status.label')} value={filters.state} onChange={(event) => set('state', event.target.value)} slotProps={{ select: { displayEmpty: true }, inputLabel: { shrink: true } }}>
          {STATES.map((each) => (
            <MenuItem key={each} value={each}>
              {t(`status.${each || 'all'}`)}
            </MenuItem>
          ))}
        </TextField>
        <TextField select label={t('order.label')} value={order} onChange={(event) => set('order', event.target.value)}>
          {ORDERS.map((each) => (
            <MenuItem key={each} value={each}>
              {t(`order.${each}`)}
            </MenuItem>
          ))}
        </TextField>
      </Box>
      <SelectionBar
        selected={selected}
        onClear={() => setSelected(new Set())}
        onAll={() => setSelected(new Set(images.map((image) => image.id)))}
      />
      {isRanked && ranked.data?.reason ? (
        <Typography role="status" color="textSecondary" sx={{ mb: 2 }}>
          {t(`ranked.${ranked.data.reason}`)}
        </Typography>
      ) : null}
      <QueryView<unknown>
        query={query}
        loading={<PhotoGridSkeleton />}
        isEmpty={() => images.length === 0}
        empty={
          isFiltered ? (
            <Message title={t('nothing')} hint={t('nothingHint')}>
              <Button variant="outlined" onClick={() => setAddress({}, { replace: true })}>
                {t('clear')}
              </Button>
            </Message>
          ) : (
            <Message title={t('empty')} hint={t('emptyHint')}>
              <Button component={Link} to="/" variant="contained">
                {t('start')}
              </Button>
            </Message>
          )
        }
      >
        {() => (
          <PhotoGrid
            images={images}
            label={t('title')}
            pages={list.data?.pages.length ?? 1}
            hasMore={!isRanked && list.hasNextPage}
            isLoadingMore={list.isFetchingNextPage}
            onMore={more}
            corner={(image) => (
              <Checkbox
                checked={selected.has(image.id)}
                onChange={() => toggle(image.id)}
                slotProps={{ input: { 'aria-label': t('select', { caption: image.caption || image.file_name }) } }}
                sx={{ bgcolor: 'background.paper', borderRadius: '10px', p: 1, '&:hover': { bgcolor: 'background.paper' } }}
              />
            )}
          />
        )}
      </QueryView>
    </Page>
  );
}
