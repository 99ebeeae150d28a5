import ContentCopy from '@mui/icons-material/ContentCopyOutlined';
import Voices from '@mui/icons-material/AutoFixHighOutlined';
import Edit from '@mui/icons-material/EditOutlined';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { Suspense, useRef, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { AttentionOut, CandidateOut, ImageOut } from '@/shared/api/generated';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { lazyPart } from '@/shared/lib/lazyPart';
import { Rating } from '@/shared/ui/Rating';
import { VoicePanel } from '@/shared/voice/Panel';
import { isUnsure } from './unsure';
import { Words } from './Words';

const CopyMenu = lazyPart(() => import('./CopyMenu'));
const EditCaption = lazyPart(() => import('./EditCaption'));

interface CaptionPanelProps {
  image: ImageOut;
  caption: string;
  candidate: CandidateOut | null; // the candidate whose text is shown; null if a person wrote it
  attention: AttentionOut | null;
  word: number | null;
  onWord: (word: number | null) => void;
}

/** The caption and its actions. */
export function CaptionPanel({ image, caption, candidate, attention, word, onWord }: CaptionPanelProps) {
  const { t } = useTranslation('photo');
  const languageOf = useCaptionLanguage();
  const language = candidate?.style?.voice.language ?? languageOf(image.caption_by);
  const isExpected = image.job?.state === 'queued' || image.job?.state === 'running';
  const [isEditing, setEditing] = useState(false);
  const [isVoiced, setVoiced] = useState(false);
  const [anchor, setAnchor] = useState<HTMLElement | null>(null);
  const editButton = useRef<HTMLButtonElement>(null);
  const done = () => {
    setEditing(false);
    // The field is gone: move the focus to the button that opened it.
    setTimeout(() => editButton.current?.focus(), 0);
  };
  const panel = (
    <Box component="section" aria-label={t('caption')}>
      <Typography variant="h2" component="p" lang={caption ? language : undefined} color={caption ? 'textPrimary' : 'textSecondary'} sx={{ fontSize: 'clamp(1.5rem, 1.1rem + 1.6vw, 2.3rem)', minHeight: '1.2em', textWrap: 'balance' }}>
        {caption ? attention && attention.words.length > 0 ? <Words text={caption} attention={attention} word={word} onWord={onWord} /> : caption : isExpected ? <Skeleton /> : t('none')}
      </Typography>
      {caption ? (
        <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
          {image.caption_by === 'person' ? t('by.person') : t('by.model', { model: image.caption_model ?? '' })}
          {candidate && isUnsure(candidate) ? ` ${t('by.unsure')}` : ''}
          {image.caption_by === 'person' ? null : (
            <Box component="span" sx={{ visibility: attention ? 'visible' : 'hidden' }}> {t('wordsHint')}</Box>
          )}
        </Typography>
      ) : null}
      {image.styled ? (
        <Typography variant="body2" color="textSecondary" sx={{ mt: 1 }}>
          {t('alternative')} <span lang={languageOf()}>{image.description}</span>
        </Typography>
      ) : null}
      <Stack direction="row" spacing={1} useFlexGap sx={{ mt: 2, flexWrap: 'wrap', alignItems: 'center' }}>
        <Button
          variant="contained"
          startIcon={<ContentCopy />}
          disabled={!caption}
          aria-haspopup="menu"
          aria-expanded={anchor !== null}
          onClick={(event) => setAnchor(event.currentTarget)}
        >
          {t('copy.button')}
        </Button>
        {image.mine ? (
          <Button ref={editButton} variant="outlined" startIcon={<Edit />} onClick={() => setEditing(true)}>
            {t('edit.button')}
          </Button>
        ) : null}
        {image.mine && caption ? (
          <Button variant="outlined" startIcon={<Voices />} aria-expanded={isVoiced} onClick={() => setVoiced(!isVoiced)}>
            {t('voice')}
          </Button>
        ) : null}
        {candidate ? <Rating candidate={candidate} /> : <Box sx={{ height: 40, width: 80 }} />}
      </Stack>
      {anchor ? (
        <Suspense fallback={null}>
          <CopyMenu image={image} caption={caption} candidate={candidate} anchor={anchor} onClose={() => setAnchor(null)} />
        </Suspense>
      ) : null}
    </Box>
  );
  const voices = isVoiced ? (
    <Box component="section" aria-labelledby="voice">
      <Typography variant="h3" component="h2" id="voice" gutterBottom>
        {t('voice')}
      </Typography>
      <Suspense fallback={<Box sx={{ minHeight: 480 }} />}>
        <VoicePanel image={image} caption={caption} />
      </Suspense>
    </Box>
  ) : null;
  // Keep showing the caption until the editor is loaded.
  return (
    <>
      {isEditing ? (
        <Suspense fallback={panel}>
          <EditCaption image={image} caption={caption} onDone={done} />
        </Suspense>
      ) : (
        panel
      )}
      {voices}
    </>
  );
}
