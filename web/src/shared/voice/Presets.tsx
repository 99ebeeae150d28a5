import Button from '@mui/material/Button';
import IconButton from '@mui/material/IconButton';
import Delete from '@mui/icons-material/DeleteOutlined';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { problemOf } from '../api/problem';
import { useOnce } from '../lib/useOnce';
import { useDeleteVoiceMutation, useSaveVoiceMutation, type VoicesOut } from './generated';
import { voiceOf, type Voice } from './voice';

const MAX_NAME_CHARS = 40; // the API's limit

interface PresetsProps {
  voices: VoicesOut;
  voice: Voice;
  onChoose: (voice: Voice) => void;
  onSay: (text: string) => void;
}

/** Named voices: those that are ready, and one's own. */
export function Presets({ voices, voice, onChoose, onSay }: PresetsProps) {
  const { t } = useTranslation('voice');
  const [chosen, setChosen] = useState('');
  const [isSaving, setSaving] = useState(false);
  const [remove] = useDeleteVoiceMutation();
  const button = useRef<HTMLButtonElement>(null);
  const isOwn = voices.saved.some((each) => each.name === chosen);
  const choose = (wanted: string) => {
    setChosen(wanted);
    const found = [...voices.saved, ...voices.presets].find((each) => each.name === wanted);
    if (found) onChoose(voiceOf(found.voice));
  };
  const close = (saved?: string) => {
    setSaving(false);
    setTimeout(() => button.current?.focus(), 0);
    if (saved === undefined) return;
    setChosen(saved);
    onSay(t('preset.saved'));
  };
  const removeVoice = useOnce(async () => {
    const result = await remove({ name: chosen });
    if (result.error) {
      onSay(problemOf(result.error).detail || t('preset.failed'));
      return;
    }
    setChosen('');
    onSay(t('preset.removed'));
  });
  const labelOf = (preset: string) => t(`preset.${preset}`, { defaultValue: preset });
  return (
    <Stack direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap', alignItems: 'flex-start' }}>
      <TextField
        select
        label={t('preset.label')}
        value={chosen}
        onChange={(event) => choose(event.target.value)}
        slotProps={{ select: { native: true }, inputLabel: { shrink: true } }}
        sx={{ flex: '1 1 200px', maxWidth: 320 }}
      >
        <option value="">{t('preset.none')}</option>
        {voices.saved.length > 0 ? (
          <optgroup label={t('preset.yours')}>
            {voices.saved.map((each) => (
              <option key={each.name}>{each.name}</option>
            ))}
          </optgroup>
        ) : null}
        <optgroup label={t('preset.ours')}>
          {voices.presets.map((each) => (
            <option key={each.name} value={each.name}>
              {labelOf(each.name)}
            </option>
          ))}
        </optgroup>
      </TextField>
      {isOwn ? (
        <IconButton aria-label={t('preset.remove', { name: chosen })} onClick={removeVoice}>
          <Delete fontSize="small" />
        </IconButton>
      ) : null}
      {isSaving ? (
        <SaveVoice voice={voice} name={isOwn ? chosen : ''} onDone={close} />
      ) : (
        <Button ref={button} color="inherit" onClick={() => setSaving(true)}>
          {t('preset.save')}
        </Button>
      )}
    </Stack>
  );
}

interface SaveVoiceProps {
  voice: Voice;
  name: string;
  onDone: (name?: string) => void; // without a name: not saved
}

function SaveVoice({ voice, name, onDone }: SaveVoiceProps) {
  const { t } = useTranslation(['voice', 'common']);
  const [text, setText] = useState(name);
  const [save, { error }] = useSaveVoiceMutation();
  const field = useRef<HTMLInputElement>(null);
  useEffect(() => field.current?.focus(), []); // the form was opened to type in it
  const wanted = text.trim();
  const saveVoice = useOnce(async () => {
    const result = await save({ name: wanted, voiceIn: voice });
    if (!result.error) onDone(wanted);
  });
  const submit = (event: FormEvent) => {
    event.preventDefault();
    if (wanted) saveVoice();
  };
  return (
    <Stack component="form" direction="row" spacing={1} onSubmit={submit} noValidate sx={{ flex: '1 1 260px' }}>
      <TextField
        label={t('preset.name')}
        value={text}
        error={Boolean(error)}
        helperText={error ? problemOf(error).detail || t('preset.failed') : undefined}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key !== 'Escape') return;
          event.stopPropagation(); // the dialog stays open
          onDone();
        }}
        inputRef={field}
        slotProps={{ htmlInput: { maxLength: MAX_NAME_CHARS } }}
      />
      <Button type="submit" variant="outlined" sx={{ flexShrink: 0, alignSelf: 'flex-start' }}>
        {t('common:action.save')}
      </Button>
    </Stack>
  );
}
