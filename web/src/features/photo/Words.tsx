import Box from '@mui/material/Box';
import { useRef, type KeyboardEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import type { AttentionOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { placeOf } from '@/shared/ui/AttentionOverlay';

interface WordsProps {
  text: string; // as displayed
  attention: AttentionOut;
  word: number | null;
  onWord: (word: number | null) => void;
}

/**
 * A caption whose words show where the model looked, on hover, tap or with the arrow keys. It is one tab stop,
 * like a toolbar.
 */
export function Words({ text, attention, word, onWord }: WordsProps) {
  const { t } = useTranslation('photo');
  const dispatch = useDispatch();
  const group = useRef<HTMLSpanElement>(null);
  // The model's words lack the capital letter and the full stop of the text.
  const written = text.split(/\s+/);
  const shown = written.length === attention.words.length ? written : attention.words;
  const announce = (index: number) => {
    const { rows, columns, maps, words } = attention;
    const place = placeOf({ rows, columns, weights: maps[index] ?? [] });
    dispatch(announced(t('looked', { word: words[index], place: t(`place.${place}`) })));
  };
  const move = (event: KeyboardEvent, index: number) => {
    const last = attention.words.length - 1;
    const targets: Record<string, number> = {
      ArrowRight: Math.min(last, index + 1),
      ArrowLeft: Math.max(0, index - 1),
      Home: 0,
      End: last,
    };
    const target = targets[event.key];
    if (event.key === 'Escape') onWord(null);
    if (target === undefined) return;
    event.preventDefault();
    group.current?.querySelectorAll('button')[target]?.focus();
  };
  return (
    <Box component="span" ref={group} role="group" aria-label={t('words')} onMouseLeave={() => onWord(null)}>
      {shown.map((each, index) => (
        // A word may occur twice, so its index is the key.
        <span key={index}>
          <Box
            component="button"
            type="button"
            tabIndex={index === (word ?? 0) ? 0 : -1}
            aria-pressed={index === word}
            onMouseEnter={() => onWord(index)}
            onFocus={() => {
              onWord(index);
              announce(index);
            }}
            onClick={() => {
              onWord(index);
            }}
            onBlur={() => onWord(null)}
            onKeyDown={(event) => move(event, index)}
            sx={{
              all: 'unset',
              cursor: 'pointer',
              borderRadius: '4px',
              px: '2px',
              mx: '-2px',
              textDecoration: 'underline dotted',
              textDecorationColor: 'color-mix(in srgb, currentColor 35%, transparent)',
              textUnderlineOffset: '0.2em',
              textDecorationThickness: '1px',
              '&[aria-pressed="true"]': { bgcolor: 'primary.main', color: 'primary.contrastText' },
              '&:focus-visible': { outline: '3px solid', outlineColor: 'primary.main', outlineOffset: 2 },
            }}
          >
            {each}
          </Box>{' '}
        </span>
      ))}
    </Box>
  );
}
