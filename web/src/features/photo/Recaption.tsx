import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import MenuItem from '@mui/material/MenuItem';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { RANGES } from '@/shared/api/captionRanges';
import { useListModelsQuery, useRequestCaptionsMutation, type CaptionOptionsIn, type ImageOut } from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useOnce } from '@/shared/lib/useOnce';

type Strategy = NonNullable<CaptionOptionsIn['strategy']>;
const STRATEGIES: readonly Strategy[] = ['beam', 'greedy', 'sample'];

/** The number in a field; null if it is empty. */
function numberOf(text: string): number | null {
  return text.trim() === '' ? null : Number(text);
}

export default function Recaption({ image, onDone }: { image: ImageOut; onDone: () => void }) {
  const { t } = useTranslation('photo');
  const models = useListModelsQuery({}).data?.items ?? [];
  const [request, { error }] = useRequestCaptionsMutation();
  const [strategy, setStrategy] = useState<Strategy>('beam');
  const [model, setModel] = useState('');
  const [count, setCount] = useState('3');
  const [shortest, setShortest] = useState('');
  const [longest, setLongest] = useState('');
  const [temperature, setTemperature] = useState('0.7');
  const [prefix, setPrefix] = useState('');
  const submit = useOnce(async () => {
    const captionOptionsIn: CaptionOptionsIn = {
      n: strategy === 'greedy' ? null : numberOf(count),
      strategy,
      min_length: numberOf(shortest),
      max_length: numberOf(longest),
      ...(strategy === 'sample' ? { temperature: numberOf(temperature) } : {}),
      ...(prefix.trim() ? { prefix: prefix.trim() } : {}),
      ...(model ? { model } : {}),
    };
    const result = await request({ imageId: image.id, captionOptionsIn });
    if (!result.error) onDone();
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    submit();
  };
  return (
    <Stack component="form" spacing={2} onSubmit={onSubmit} sx={{ mt: 3 }}>
      <TextField select label={t('recaption.strategy')} value={strategy} onChange={(event) => setStrategy(event.target.value as Strategy)}>
        {STRATEGIES.map((each) => (
          <MenuItem key={each} value={each}>
            {t(`recaption.${each}`)}
          </MenuItem>
        ))}
      </TextField>
      {models.length > 1 ? (
        <TextField select label={t('recaption.model')} value={model} onChange={(event) => setModel(event.target.value)}>
          <MenuItem value="">{t('recaption.default')}</MenuItem>
          {models.map((each) => (
            <MenuItem key={each.id} value={each.id}>
              {`${each.name}@${each.version}`}
            </MenuItem>
          ))}
        </TextField>
      ) : null}
      <Box sx={{ display: 'grid', gap: 2, gridTemplateColumns: 'repeat(auto-fit, minmax(140px, 1fr))' }}>
        <TextField type="number" label={t('recaption.count')} disabled={strategy === 'greedy'} value={strategy === 'greedy' ? '1' : count} onChange={(event) => setCount(event.target.value)} slotProps={{ htmlInput: RANGES.n }} />
        <TextField type="number" label={t('recaption.shortest')} value={shortest} onChange={(event) => setShortest(event.target.value)} slotProps={{ htmlInput: RANGES.min_length }} />
        <TextField type="number" label={t('recaption.longest')} value={longest} onChange={(event) => setLongest(event.target.value)} slotProps={{ htmlInput: RANGES.max_length }} />
      </Box>
      {strategy === 'sample' ? (
        <TextField type="number" label={t('recaption.temperature')} value={temperature} onChange={(event) => setTemperature(event.target.value)} slotProps={{ htmlInput: { ...RANGES.temperature, step: 'any' } }} />
      ) : null}
      <TextField label={t('recaption.prefix')} helperText={t('recaption.prefixHint')} value={prefix} onChange={(event) => setPrefix(event.target.value)} />
      {error ? (
        <Alert severity="error" role="alert">
          {[problemOf(error).detail, problemOf(error).hint].filter(Boolean).join(' ') || t('recaption.failed')}
        </Alert>
      ) : null}
      <Button type="submit" variant="contained" sx={{ alignSelf: 'flex-start' }}>
        {t('recaption.send')}
      </Button>
    </Stack>
  );
}
