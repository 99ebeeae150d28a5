import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Typography from '@mui/material/Typography';
import { Suspense, useCallback, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useSelector } from 'react-redux';
import { Link } from '@/shared/lib/router';
import { usePollingMs } from '@/shared/api/polling';
import { useListImagesQuery, type ImageOut } from '@/shared/api/generated';
import { lazyPart } from '@/shared/lib/lazyPart';
import { Page } from '@/shared/ui/Page';
import { DropZone } from './DropZone';
import { Points } from './Points';
import { selectUploads } from './uploads';
import { useUploader } from './useUploader';

const Cards = lazyPart(() => import('./Cards'), 'page'); // there are none before the first photo

const RECENT = 12;
const QUEUE_MS = 3_000;

export default function CaptionPage() {
  const { t } = useTranslation('caption');
  const uploader = useUploader();
  const uploads = useSelector(selectUploads);
  const pollingMs = usePollingMs();
  const [isWaiting, setWaiting] = useState(false);
  const recent = useListImagesQuery({ limit: RECENT }, { pollingInterval: isWaiting ? QUEUE_MS : pollingMs });
  // No event says how the queue moves: poll while a photo is waiting in it.
  const waits = recent.data?.items.some((image) => image.job?.state === 'queued') ?? false;
  if (waits !== isWaiting) setWaiting(waits);
  const onFiles = useCallback((files: File[]) => uploader.add(files), [uploader]);
  const onUrls = useCallback((urls: string[]) => uploader.addUrls(urls), [uploader]);

  const images = new Map<string, ImageOut>(recent.data?.items.map((image) => [image.id, image]));
  // Uploads keep their places when their images are known; earlier images follow.
  const uploaded = new Set(uploads.map((upload) => upload.image));
  const earlier = [...images.values()].filter((image) => !uploaded.has(image.id));
  const isEmpty = uploads.length === 0 && earlier.length === 0;

  return (
    <Page title={t('title')} lead={t('lead')} width="xl">
      <DropZone onFiles={onFiles} onUrls={onUrls} />
      {isEmpty ? (
        <Points />
      ) : (
        <Box component="section" aria-labelledby="recent" sx={{ mt: 5 }}>
          <Box sx={{ display: 'flex', justifyContent: 'space-between', alignItems: 'baseline', mb: 2, gap: 2 }}>
            <Typography variant="h2" id="recent">
              {t('recent')}
            </Typography>
            <Button component={Link} to="/library" sx={{ mr: -2 }}>
              {t('all')}
            </Button>
          </Box>
          <Box
            component="ul"
            sx={{
              listStyle: 'none',
              p: 0,
              m: 0,
              display: 'grid',
              gap: 2.5,
              gridTemplateColumns: 'repeat(auto-fill, minmax(min(100%, 270px), 1fr))',
            }}
          >
            <Suspense fallback={null}>
              <Cards uploads={uploads} images={images} earlier={earlier} />
            </Suspense>
          </Box>
        </Box>
      )}
    </Page>
  );
}
