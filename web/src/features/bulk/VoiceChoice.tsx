import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import TextField from '@mui/material/TextField';
import { Suspense, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { VoiceForm } from '@/shared/voice/Form';
import { useAboutStylesQuery, useListVoicesQuery, type VoiceOut } from '@/shared/voice/generated';
import { FIRST_VOICE, voiceOf, type Voice } from '@/shared/voice/voice';

interface VoiceChoiceProps {
  isDisabled: boolean;
  onChoose: (voice: VoiceOut | null) => void;
}

/** In which voice the photos are captioned besides; nothing where there is no language model. */
export function VoiceChoice({ isDisabled, onChoose }: VoiceChoiceProps) {
  const { t } = useTranslation('bulk');
  const here = useAboutStylesQuery({}).data;
  const voices = useListVoicesQuery({}).data;
  const [chosen, setChosen] = useState('');
  const [voice, setVoice] = useState<Voice | null>(null);
  if (!here?.available || !voices) return null;
  const choices = [
    { id: 'own', label: t('voice.own'), voice: FIRST_VOICE },
    ...(voices.last ? [{ id: 'last', label: t('voice.last', { tone: voices.last.tone }), voice: voices.last }] : []),
    ...voices.saved.map(({ name, voice }) => ({ id: `saved ${name}`, label: name, voice })),
    ...voices.presets.map(({ name, voice }) => ({
      id: `preset ${name}`,
      label: t(`voice.preset.${name}`, { defaultValue: name }),
      voice,
    })),
  ];
  const change = (wanted: Voice | null) => {
    setVoice(wanted);
    onChoose(wanted);
  };
  return (
    <Box sx={{ mt: 3 }}>
      <TextField
        select
        label={t('voice.label')}
        helperText={t('voice.hint')}
        value={chosen}
        disabled={isDisabled}
        onChange={({ target }) => {
          const found = choices.find(({ id }) => id === target.value);
          setChosen(target.value);
          change(found ? voiceOf(found.voice) : null);
        }}
        slotProps={{ select: { native: true }, inputLabel: { shrink: true } }}
        sx={{ width: 1, maxWidth: 360, textAlign: 'start' }}
      >
        <option value="">{t('voice.none')}</option>
        {choices.map(({ id, label }) => (
          <option key={id} value={id}>
            {label}
          </option>
        ))}
      </TextField>
      {voice ? (
        <Box component="fieldset" disabled={isDisabled} sx={{ border: 0, p: 0, m: 0, mt: 3, mx: 'auto', maxWidth: 720, textAlign: 'start' }}>
          <Suspense fallback={<Skeleton variant="rounded" height={320} />}>
            <VoiceForm voice={voice} limits={here} suggestions={voices.tones} onChange={change} />
          </Suspense>
        </Box>
      ) : null}
    </Box>
  );
}
