import { Suspense, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch, useSelector } from 'react-redux';
import { useRetryJobMutation, type ImageOut } from '@/shared/api/generated';
import { announced, type LiveState } from '@/shared/api/live';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { copyText } from '@/shared/lib/clipboard';
import { Photo } from '@/shared/ui/Photo';
import { photoSources } from '@/shared/lib/sources';
import { toastShown } from '@/shared/ui/toasts';
import { VoiceDialog } from '@/shared/voice/Dialog';
import { PhotoCard, type CardStatus } from './PhotoCard';
import { previewOfImage } from './uploader';

interface ImageCardProps {
  image: ImageOut;
  name?: string;
}

/** The card of an uploaded image: its job's progress, then its caption. */
export function ImageCard({ image, name }: ImageCardProps) {
  const { t } = useTranslation('caption');
  const dispatch = useDispatch();
  const live = useSelector((state: { live: LiveState }) => state.live.images[image.id]);
  const [retry] = useRetryJobMutation();
  const [isVoiced, setVoiced] = useState(false);
  const caption = live?.caption ?? image.caption;
  const job = live?.job ?? image.job;
  const ahead = live?.job?.position ?? image.job?.position ?? null; // jobs ahead in the queue
  const title = name ?? image.file_name ?? '';

  const status = ((): CardStatus => {
    if (caption) return { kind: 'done', text: '', progress: 1 };
    if (job?.state === 'failed' || job?.state === 'cancelled') {
      return { kind: 'failed', text: t('status.failed'), hint: job.error?.message, progress: null };
    }
    if (job?.state === 'running') return { kind: 'running', text: t('status.running'), progress: null };
    const text = ahead === null ? t('status.queuedUnknown') : t('status.queued', { count: ahead + 1 });
    return { kind: 'queued', text, progress: null };
  })();

  const preview = previewOfImage(image.id);
  const sources = photoSources(image.urls, 'thumbnail') ?? (preview ? { jpeg: preview } : null);
  const copy = async () => {
    const isCopied = await copyText(caption);
    if (isCopied) dispatch(announced(t('copied')));
    dispatch(toastShown({ tone: isCopied ? 'success' : 'error', text: isCopied ? t('copied') : caption }));
  };
  return (
    <PhotoCard
      to={`/images/${image.id}`}
      name={title}
      caption={caption || null}
      language={useCaptionLanguage()(image.caption_by)}
      status={status}
      picture={
        <Photo
          sources={sources}
          alt={image.description || caption || t('card.noCaption', { name: title })}
          width={image.width_px}
          height={image.height_px}
          placeholder={image.placeholder}
          fills
        />
      }
      onCopy={caption ? () => void copy() : undefined}
      onVoice={caption ? () => setVoiced(true) : undefined}
      onRetry={status.kind === 'failed' && job ? () => void retry({ jobId: job.id }) : undefined}
    >
      {isVoiced ? (
        <Suspense fallback={null}>
          <VoiceDialog image={image} caption={caption} onClose={() => setVoiced(false)} />
        </Suspense>
      ) : null}
    </PhotoCard>
  );
}
