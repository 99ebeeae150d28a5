import Box from '@mui/material/Box';
import FormControlLabel from '@mui/material/FormControlLabel';
import Stack from '@mui/material/Stack';
import Switch from '@mui/material/Switch';
import TextField from '@mui/material/TextField';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { ChoiceChips } from './ChoiceChips';
import { ToneField } from './ToneField';
import type { StylesHereOut } from './generated';
import { AUDIENCES, LENGTHS, wordsOf, type Voice } from './voice';

const LANGUAGES = ['en', 'de', 'es', 'fr', 'it', 'nl', 'pl', 'pt', 'tr', 'uk', 'ja', 'zh'];

interface VoiceFormProps {
  voice: Voice;
  limits: StylesHereOut;
  suggestions: readonly string[];
  onChange: (voice: Voice) => void;
}

/** All choices of a voice. */
export function VoiceForm({ voice, limits, suggestions, onChange }: VoiceFormProps) {
  const { t, i18n } = useTranslation('voice');
  const change = (changes: Partial<Voice>) => onChange({ ...voice, ...changes });
  const [avoid, setAvoid] = useState(voice.avoid.join(', '));
  const [known, setKnown] = useState(voice.avoid);
  if (voice.avoid !== known) {
    setKnown(voice.avoid); // a preset was chosen
    setAvoid(voice.avoid.join(', '));
  }
  const typeAvoided = (typed: string) => {
    const words = wordsOf(typed).slice(0, limits.max_avoided);
    setAvoid(typed);
    setKnown(words);
    change({ avoid: words });
  };
  const fixes = { htmlInput: { maxLength: limits.max_fix_chars } };
  const namesOfLanguages = new Intl.DisplayNames([i18n.language], { type: 'language' });
  return (
    <Stack spacing={2.5}>
      <ToneField tone={voice.tone} suggestions={suggestions} maxLength={limits.max_tone_chars} onChange={(tone) => change({ tone })} />
      <Box sx={{ display: 'flex', flexWrap: 'wrap', columnGap: 4, rowGap: 2.5 }}>
        <ChoiceChips
          label={t('audience.label')}
          choices={AUDIENCES.map((value) => ({ value, label: t(`audience.${value}`) }))}
          value={voice.audience}
          onChoose={(audience) => change({ audience })}
        />
        <ChoiceChips
          label={t('length.label')}
          choices={LENGTHS.map((value) => ({ value, label: t(`length.${value}`) }))}
          value={voice.length}
          onChoose={(length) => change({ length })}
        />
        <Stack direction="row" spacing={2} sx={{ alignItems: 'flex-end' }}>
          <TextField
            type="number"
            label={t('hashtags')}
            value={String(voice.hashtags)}
            onChange={(event) => change({ hashtags: Math.min(limits.max_hashtags, Math.max(0, Math.trunc(Number(event.target.value)))) })}
            slotProps={{ htmlInput: { min: 0, max: limits.max_hashtags } }}
            sx={{ width: 110 }}
          />
          <FormControlLabel
            label={t('emoji')}
            control={<Switch checked={voice.emoji} onChange={(_, emoji) => change({ emoji })} />}
            sx={{ mr: 0 }}
          />
        </Stack>
      </Box>
      <Box component="details" sx={{ '& > summary': { cursor: 'pointer', fontWeight: 600, py: 1, width: 'fit-content' } }}>
        <summary>{t('more')}</summary>
        <Box sx={{ display: 'grid', gap: 2, pt: 1, gridTemplateColumns: 'repeat(auto-fit, minmax(min(100%, 220px), 1fr))' }}>
          <TextField label={t('prefix')} value={voice.prefix} onChange={(event) => change({ prefix: event.target.value })} slotProps={fixes} />
          <TextField label={t('suffix')} value={voice.suffix} onChange={(event) => change({ suffix: event.target.value })} slotProps={fixes} />
          <TextField label={t('avoid')} helperText={t('avoidHint')} value={avoid} onChange={(event) => typeAvoided(event.target.value)} />
          {limits.language ? null : (
            <TextField
              select
              label={t('language')}
              value={voice.language}
              onChange={(event) => change({ language: event.target.value })}
              slotProps={{ select: { native: true } }}
            >
              {[...new Set([voice.language, ...LANGUAGES])].map((each) => (
                <option key={each} value={each}>
                  {namesOfLanguages.of(each)}
                </option>
              ))}
            </TextField>
          )}
        </Box>
      </Box>
    </Stack>
  );
}
