import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Rating } from '../ui/Rating';
import type { Variant } from './styling';
import { useNames } from './useNames';
import { useVariantActions } from './useVariantActions';
import { withoutHashtags, type StyledOut } from './voice';

const MOST_REMOVED = 3;
const MOST_REMOVED_CHARS = 120;

interface VariantCardProps {
  imageId: string;
  number: number; // from 1
  variant: Variant<StyledOut>;
  current: string; // the photo's caption
  language: string | undefined;
  isBusy: boolean;
  isSettled: boolean; // nothing more comes
  onLike: (caption: StyledOut) => void;
  onSay: (text: string) => void;
}

/** One caption in a voice: its words as they come, then what can be done with it. */
export function VariantCard({ imageId, number, variant, current, language, isBusy, isSettled, onLike, onSay }: VariantCardProps) {
  const { t } = useTranslation('voice');
  const { caption } = variant;
  const [edited, setEdited] = useState<string | null>(null);
  const [isEditing, setEditing] = useState(false);
  const [note, setNote] = useState('');
  const editButton = useRef<HTMLButtonElement>(null);
  const say = (text: string) => {
    setNote(text);
    onSay(text);
  };
  const text = edited ?? variant.text;
  const actions = useVariantActions({ imageId, caption, text, isEdited: edited !== null, say });
  const isRefused = variant.isWhole && variant.text === '';
  const isUsed = text !== '' && text === current;
  const isPending = caption === null && !isSettled;
  const endEdit = (words: string | null) => {
    setEditing(false);
    if (words !== null) setEdited(words === variant.text ? null : words);
    setTimeout(() => editButton.current?.focus(), 0);
  };
  return (
    <Box
      component="li"
      aria-label={t('number', { number })}
      aria-busy={!variant.isWhole}
      sx={{ border: 1, borderColor: isUsed ? 'primary.main' : 'divider', borderRadius: '14px', bgcolor: 'background.paper', p: 1.5, pb: 1 }}
    >
      {isEditing ? (
        <EditVariant label={t('editLabel', { number })} text={text} onDone={endEdit} />
      ) : (
        <Shown variant={variant} text={text} language={edited === null ? (caption?.style.voice.language ?? language) : undefined} />
      )}
      <Remarks variant={variant} isEdited={edited !== null} note={note} />
      {/* While words come, its place is kept. */}
      <Stack
        direction="row"
        useFlexGap
        sx={{ display: isRefused || isEditing ? 'none' : 'flex', flexWrap: 'wrap', alignItems: 'center', mx: -1, visibility: isPending ? 'hidden' : 'visible' }}
      >
        {caption || isPending ? (
          <Button size="small" onClick={isUsed ? actions.undo : actions.use}>
            {t(isUsed ? 'undo' : 'use')}
          </Button>
        ) : null}
        <Button size="small" onClick={() => actions.copy(text, t('copied'), true)}>
          {t('copy')}
        </Button>
        {caption?.style.hashtags.length || isPending ? (
          <Button size="small" onClick={() => (caption ? actions.copy(withoutHashtags(text, caption.style), t('copiedPlain'), false) : undefined)}>
            {t('copyPlain')}
          </Button>
        ) : null}
        {caption || isPending ? (
          <>
            <Button size="small" aria-disabled={isBusy} onClick={() => (caption && !isBusy ? onLike(caption) : undefined)}>
              {t('like')}
            </Button>
            <Button size="small" ref={editButton} onClick={() => setEditing(true)}>
              {t('edit')}
            </Button>
            {edited === null ? null : (
              <Button size="small" onClick={() => setEdited(null)}>
                {t('revert')}
              </Button>
            )}
            {caption ? <Rating candidate={caption} /> : <Box sx={{ width: 80, height: 40 }} />}
          </>
        ) : null}
      </Stack>
    </Box>
  );
}

/** The words. What was there before keeps its room until other words fill it. */
function Shown({ variant, text, language }: { variant: Variant<StyledOut>; text: string; language?: string }) {
  const { t } = useTranslation('voice');
  const same = { gridArea: '1 / 1', whiteSpace: 'pre-wrap', overflowWrap: 'anywhere' } as const;
  const reasons = useReasons(variant);
  const isRefused = variant.isWhole && text === '';
  return (
    <Typography component="div" lang={language} sx={{ display: 'grid', fontFamily: 'h3.fontFamily', fontSize: '1.1rem', lineHeight: 1.45, minHeight: isRefused ? 0 : '2.9em' }}>
      {variant.isWhole || variant.longest.length <= text.length ? null : (
        <Box component="span" aria-hidden sx={{ ...same, visibility: 'hidden' }}>
          {variant.longest}
        </Box>
      )}
      {text ? (
        <Box component="span" sx={{ ...same, opacity: variant.isOld ? 0.6 : 1 }}>
          {text}
        </Box>
      ) : isRefused ? (
        <Typography component="span" lang="" color="textSecondary" sx={same}>
          {t('refused', { reasons })}
        </Typography>
      ) : (
        <Box component="span" aria-hidden sx={same}>
          <Skeleton width="90%" />
          <Skeleton width="55%" />
        </Box>
      )}
    </Typography>
  );
}

/** Why a text was not kept as it was first written. */
function useReasons(variant: Variant<StyledOut>): string {
  const names = useNames('reasons');
  return variant.reasons.map((each) => names[each] ?? each).join(', ');
}

/** What the guard did to a text, in words, and what was done with it last. */
function Remarks({ variant, isEdited, note }: { variant: Variant<StyledOut>; isEdited: boolean; note: string }) {
  const { t } = useTranslation('voice');
  const { removed, text } = variant;
  const reasons = useReasons(variant);
  const cut = removed.slice(0, MOST_REMOVED).map((each) => (each.length > MOST_REMOVED_CHARS ? `${each.slice(0, MOST_REMOVED_CHARS)} …` : each));
  const remarks = [
    isEdited ? t('edited') : '',
    text !== '' && reasons ? t('again', { reasons }) : '',
    removed.length > 0 ? t('removed', { words: `${cut.join(' · ')}${removed.length > MOST_REMOVED ? ' …' : ''}` }) : '',
    note,
  ].filter(Boolean);
  return (
    <Typography variant="body2" color="textSecondary" component="div" sx={{ minHeight: '1.43em', mt: 0.5, overflowWrap: 'anywhere' }}>
      {remarks.map((each) => (
        <div key={each}>{each}</div>
      ))}
    </Typography>
  );
}

function EditVariant({ label, text, onDone }: { label: string; text: string; onDone: (words: string | null) => void }) {
  const { t } = useTranslation();
  const [words, setWords] = useState(text);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []); // it was opened to type in it
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (words.trim()) onDone(words.trim());
  };
  return (
    <Stack component="form" spacing={1} onSubmit={submit} noValidate>
      <TextField
        label={label}
        value={words}
        onChange={(event) => setWords(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation(); // the dialog stays open
          onDone(null);
        }}
        inputRef={field}
        multiline
        minRows={2}
        maxRows={8}
        slotProps={{ input: { sx: { fontFamily: 'h3.fontFamily', fontSize: '1.1rem' } } }}
      />
      <Stack direction="row" spacing={1}>
        <Button type="submit" size="small" variant="contained">
          {t('action.save')}
        </Button>
        <Button size="small" onClick={() => onDone(null)}>
          {t('action.cancel')}
        </Button>
      </Stack>
    </Stack>
  );
}
