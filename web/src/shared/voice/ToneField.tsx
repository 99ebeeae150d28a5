import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useId, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { ChoiceChips } from './ChoiceChips';
import { useNames } from './useNames';
import { TONES, toneOf } from './voice';

interface ToneFieldProps {
  tone: string; // as models know it
  suggestions: readonly string[];
  maxLength: number;
  onChange: (tone: string) => void;
}

/** The tone: a few to choose from, and a field for any other, which suggests more. */
export function ToneField({ tone, suggestions, maxLength, onChange }: ToneFieldProps) {
  const { t } = useTranslation('voice');
  const list = useId();
  const names = useNames('tones');
  const nameOf = (each: string) => (Object.hasOwn(names, each) ? names[each] : undefined) ?? each;
  const [text, setText] = useState(nameOf(tone));
  const [known, setKnown] = useState(tone);
  if (tone !== known) {
    setKnown(tone); // a preset or a chip was chosen
    setText(nameOf(tone));
  }
  const type = (typed: string) => {
    const meant = toneOf(typed, names);
    setText(typed);
    setKnown(meant);
    onChange(meant);
  };
  return (
    <Stack spacing={2}>
      <ChoiceChips label={t('tone.label')} choices={TONES.map((value) => ({ value, label: nameOf(value) }))} value={tone} onChoose={onChange} />
      <TextField
        label={t('tone.own')}
        helperText={t('tone.hint')}
        value={text}
        onChange={(event) => type(event.target.value)}
        slotProps={{ htmlInput: { list, maxLength, autoComplete: 'off', autoCapitalize: 'off' } }}
      />
      <datalist id={list}>
        {[...new Set(suggestions)].map((each) => (
          <option key={each} value={nameOf(each)} />
        ))}
      </datalist>
    </Stack>
  );
}
