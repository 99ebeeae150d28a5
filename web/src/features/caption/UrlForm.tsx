import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';

export default function UrlForm({ onUrls }: { onUrls: (urls: string[]) => void }) {
  const { t } = useTranslation('caption');
  const [text, setText] = useState('');
  const [isWrong, setWrong] = useState(false);
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []); // the form was opened to type in it
  const submit = (event: FormEvent) => {
    event.preventDefault();
    const urls = text.split(/\s+/).filter(Boolean);
    if (urls.length === 0 || urls.some((url) => !/^https?:\/\//i.test(url))) setWrong(true);
    else onUrls(urls);
  };
  return (
    <Stack
      component="form"
      onSubmit={submit}
      direction={{ xs: 'column', sm: 'row' }}
      spacing={1.5}
      noValidate
      sx={{ mt: 3, mx: 'auto', maxWidth: 640, alignItems: 'flex-start' }}
    >
      <TextField
        label={t('url.label')}
        helperText={isWrong ? t('url.wrong') : t('url.hint')}
        error={isWrong}
        value={text}
        onChange={(event) => {
          setText(event.target.value);
          setWrong(false);
        }}
        multiline
        maxRows={6}
        inputRef={field}
        slotProps={{ htmlInput: { inputMode: 'url', autoCapitalize: 'off', spellCheck: false } }}
      />
      <Button type="submit" variant="contained" sx={{ flexShrink: 0 }}>
        {t('url.send')}
      </Button>
    </Stack>
  );
}
