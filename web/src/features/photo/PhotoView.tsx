import Box from '@mui/material/Box';
import Stack from '@mui/material/Stack';
import { skipToken } from '@reduxjs/toolkit/query';
import { Suspense, useEffect, useMemo, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useSelector } from 'react-redux';
import { useGetAttentionQuery, useListCaptionsQuery, useNoteFeedbackMutation, type ImageOut } from '@/shared/api/generated';
import type { LiveState } from '@/shared/api/live';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { lazyPart } from '@/shared/lib/lazyPart';
import { fittingWidth, photoSources } from '@/shared/lib/sources';
import { AttentionOverlay } from '@/shared/ui/AttentionOverlay';
import { Page } from '@/shared/ui/Page';
import { Photo } from '@/shared/ui/Photo';
import { Candidates } from './Candidates';
import { CaptionPanel } from './CaptionPanel';
import { JobNote } from './JobNote';
import { COLUMNS } from './PhotoSkeleton';
import { ReportButton } from './ReportButton';

const OwnerPanel = lazyPart(() => import('./OwnerPanel'));
const Similar = lazyPart(() => import('./Similar'));

interface PhotoViewProps {
  image: ImageOut;
  token?: string; // of the share link that was opened
}

export function PhotoView({ image, token }: PhotoViewProps) {
  const { t } = useTranslation('photo');
  const live = useSelector((state: { live: LiveState }) => state.live.images[image.id]);
  const caption = live?.caption ?? image.caption;
  const languageOf = useCaptionLanguage();
  const captions = useListCaptionsQuery({ imageId: image.id, token, styled: false, limit: 50 });
  const candidates = captions.data?.items ?? [];
  const styled = useListCaptionsQuery(image.styled ? { imageId: image.id, token, styled: true, limit: 50 } : skipToken);
  // Compare the text, too: an event may have changed the caption since the candidates were loaded.
  const shown = [...candidates, ...(styled.currentData?.items ?? [])].find((each) => each.shown && each.text === caption);
  const language = caption ? (shown?.style?.voice.language ?? languageOf(image.caption_by)) : undefined;
  // Show attention for the current caption; for an edited one, for the inspected candidate.
  const [looked, setLooked] = useState<string | null>(null);
  const explained = candidates.find((each) => each.id === looked) ?? shown;
  const attention = useGetAttentionQuery(
    explained?.has_attention ? { captionId: explained.id, token } : skipToken,
  );
  const [word, setWord] = useState<number | null>(null);
  const map = useMemo(() => {
    const weights = word === null ? undefined : attention.currentData?.maps[word];
    return attention.currentData && weights
      ? { rows: attention.currentData.rows, columns: attention.currentData.columns, weights }
      : null;
  }, [attention.currentData, word]);

  const [note] = useNoteFeedbackMutation();
  const seen = shown?.id;
  useEffect(() => {
    if (seen) void note({ feedbackIn: { events: [{ kind: 'impression', caption: seen }] } });
  }, [note, seen]);

  const name = image.file_name ?? '';
  return (
    <Page title={caption || t('untitled', { name })} titleLang={language} width="xl" hideTitle>
      <Box sx={COLUMNS}>
        <Box sx={{ position: { md: 'sticky' }, top: { md: 24 }, alignSelf: 'start' }}>
          <Box
            lang={image.styled ? languageOf() : language}
            sx={{
              position: 'relative',
              mx: 'auto',
              // As large as the window allows, for any aspect ratio.
              maxWidth: fittingWidth(image),
              borderRadius: '14px',
              overflow: 'hidden',
            }}
          >
            <Photo
              eager
              sources={photoSources(image.urls, 'large') ?? photoSources(image.urls, 'master')}
              alt={image.description || caption || t('noCaption', { name })}
              width={image.width_px}
              height={image.height_px}
              placeholder={image.placeholder}
              fit="contain"
            />
            <AttentionOverlay map={map} />
          </Box>
        </Box>
        <Stack spacing={4}>
          <JobNote image={image} job={live?.job ?? image.job ?? null} hasCaption={Boolean(caption)} />
          <CaptionPanel
            image={image}
            caption={caption}
            candidate={shown ?? null}
            attention={explained?.id === shown?.id ? (attention.currentData ?? null) : null}
            word={word}
            onWord={setWord}
          />
          {/* Wait for the candidates above, so that nothing shifts when they arrive. */}
          {captions.isLoading ? null : (
            <>
              <Candidates
                image={image}
                candidates={candidates}
                attention={explained && explained.id !== shown?.id ? (attention.currentData ?? null) : null}
                looked={explained?.id ?? null}
                onLook={(id) => {
                  setLooked(id);
                  setWord(null);
                }}
                word={word}
                onWord={setWord}
              />
              {image.mine ? (
                <Suspense fallback={<Box sx={{ minHeight: 480 }} />}>
                  <OwnerPanel image={image} caption={caption} />
                </Suspense>
              ) : (
                <ReportButton image={image} token={token} />
              )}
            </>
          )}
        </Stack>
      </Box>
      {captions.isLoading ? null : (
        <Suspense fallback={null}>
          <Similar image={image} token={token} />
        </Suspense>
      )}
    </Page>
  );
}
