import Box from '@mui/material/Box';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { skipToken } from '@reduxjs/toolkit/query';
import { usePollingMs } from '@/shared/api/polling';
import { useGetImageQuery, type ImageOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';
import { ImageCard } from './ImageCard';
import { PhotoCard, type CardStatus } from './PhotoCard';
import { previewOf } from './uploader';
import type { Upload } from './uploads';
import { useUploader } from './useUploader';

/** The card of an upload; once the server has created the image, the card of that image. */
export function UploadCard({ upload, image }: { upload: Upload; image?: ImageOut }) {
  const { t } = useTranslation('caption');
  const formats = useFormats();
  const uploader = useUploader();
  const [isMissing, setMissing] = useState(false); // fetching the image failed
  const single = useGetImageQuery(upload.image && !image ? { imageId: upload.image } : skipToken, {
    pollingInterval: usePollingMs(isMissing),
  });
  if (single.isError !== isMissing) setMissing(single.isError);
  const known = image ?? single.data;
  if (known) return <ImageCard image={known} name={upload.url ?? upload.name} />;

  const status = ((): CardStatus => {
    switch (upload.state) {
      case 'waiting':
        if (upload.problem?.status === 0) return { kind: 'waiting', text: t('status.held'), progress: null };
        if (upload.problem) return { kind: 'waiting', text: t('status.busy'), progress: null };
        return { kind: 'waiting', text: t('status.waiting'), progress: 0 };
      case 'sending':
        return {
          kind: 'sending',
          text: t('status.sending', { percent: formats.percent(upload.progress) }),
          progress: upload.progress,
        };
      case 'sent':
        return { kind: 'queued', text: t('status.queuedUnknown'), progress: null };
      case 'failed':
        return {
          kind: 'failed',
          text: upload.problem?.detail || t('status.failed'),
          hint: upload.problem?.hint,
          progress: null,
        };
      default: {
        const never: never = upload.state;
        return never;
      }
    }
  })();
  const preview = previewOf(upload.id);
  const isOpen = upload.state === 'waiting' || upload.state === 'sending';
  return (
    <PhotoCard
      to={null}
      name={upload.name}
      caption={null}
      status={status}
      picture={
        preview ? (
          <Box
            component="img"
            src={preview}
            alt={upload.name}
            onError={(event) => {
              event.currentTarget.hidden = true; // not an image, or a format that this browser cannot show
            }}
            sx={{ position: 'absolute', width: '100%', height: '100%', objectFit: 'cover', '&[hidden]': { display: 'none' } }}
          />
        ) : null
      }
      onRetry={upload.state === 'failed' ? () => uploader.retry(upload.id) : undefined}
      onRemove={isOpen || upload.state === 'failed' ? () => uploader.cancel(upload.id) : undefined}
    />
  );
}
