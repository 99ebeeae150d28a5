import Box from '@mui/material/Box';
import FlagOutlined from '@mui/icons-material/FlagOutlined';
import IconButton from '@mui/material/IconButton';
import { Suspense, useCallback, useMemo, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useSearchParams } from '@/shared/lib/router';
import { useGalleryInfiniteQuery } from '@/shared/api/lists';
import { Page } from '@/shared/ui/Page';
import { PhotoGrid, PhotoGridSkeleton } from '@/shared/ui/PhotoGrid';
import { ReportDialog } from '@/shared/ui/Report';
import { SearchField } from '@/shared/ui/SearchField';
import { Message, QueryView } from '@/shared/ui/StateView';

export default function GalleryPage() {
  const { t } = useTranslation('gallery');
  const [address, setAddress] = useSearchParams();
  const q = address.get('q') ?? '';
  const query = useGalleryInfiniteQuery({ q });
  const images = useMemo(() => query.data?.pages.flatMap((page) => page.items) ?? [], [query.data]);
  const [reported, setReported] = useState<string | null>(null);
  const search = useCallback((text: string) => setAddress(text ? { q: text } : {}, { replace: true }), [setAddress]);
  const { fetchNextPage } = query;
  const more = useCallback(() => void fetchNextPage(), [fetchNextPage]);
  return (
    <Page title={t('title')} lead={t('lead')} width="xl">
      <Box sx={{ maxWidth: 420, mb: 3 }}>
        <SearchField label={t('search')} value={q} onSearch={search} />
      </Box>
      <QueryView
        query={query}
        loading={<PhotoGridSkeleton />}
        isEmpty={() => images.length === 0}
        empty={<Message title={t(q ? 'nothing' : 'empty')} hint={t(q ? 'nothingHint' : 'emptyHint')} />}
      >
        {(data) => (
          <PhotoGrid
            images={images}
            label={t('title')}
            pages={data.pages.length}
            hasMore={query.hasNextPage}
            isLoadingMore={query.isFetchingNextPage}
            onMore={more}
            corner={(image) =>
              image.mine ? null : (
                <IconButton
                  aria-label={t('report', { caption: image.caption })}
                  onClick={() => setReported(image.id)}
                  sx={{
                    bgcolor: 'background.paper',
                    '&:hover': { bgcolor: 'background.paper' },
                    // With a mouse, the flag appears on hover and focus only.
                    '@media (hover: hover)': { opacity: 0, '[role=listitem]:hover &, &:focus-visible': { opacity: 1 } },
                  }}
                >
                  <FlagOutlined fontSize="small" />
                </IconButton>
              )
            }
          />
        )}
      </QueryView>
      {reported ? (
        <Suspense fallback={null}>
          <ReportDialog imageId={reported} onClose={() => setReported(null)} />
        </Suspense>
      ) : null}
    </Page>
  );
}
