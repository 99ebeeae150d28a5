import TextField from '@mui/material/TextField';
import { useState } from 'react';
import { useTranslation } from 'react-i18next';
import { useAboutStylesQuery, useListVoicesQuery, type VoiceOut } from '@/shared/voice/generated';

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
  if (!here?.available || !voices) return null;
  const choices = [
    ...(voices.last ? [{ id: 'last', label: t('voice.last', { tone: voices.last.tone }), voice: voices.last }] : []),
    ...voices.saved.map(({ name, voice }) => ({ id: `saved ${name}`, label: name, voice })),
    ...voices.presets.map(({ name, voice }) => ({
      id: `preset ${name}`,
      label: t(`voice.preset.${name}`, { defaultValue: name }),
      voice,
    })),
  ];
  return (
    <TextField
      select
      label={t('voice.label')}
      helperText={t('voice.hint')}
      value={chosen}
      disabled={isDisabled}
      onChange={({ target }) => {
        setChosen(target.value);
        onChoose(choices.find(({ id }) => id === target.value)?.voice ?? null);
      }}
      slotProps={{ select: { native: true }, inputLabel: { shrink: true } }}
      sx={{ mt: 3, width: 1, maxWidth: 360, textAlign: 'start' }}
    >
      <option value="">{t('voice.none')}</option>
      {choices.map(({ id, label }) => (
        <option key={id} value={id}>
          {label}
        </option>
      ))}
    </TextField>
  );
}
