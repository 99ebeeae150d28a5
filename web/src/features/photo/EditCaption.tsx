import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import { useEffect, useRef, useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useEditCaptionMutation, type ImageOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { problemOf } from '@/shared/api/problem';
import { useOnce } from '@/shared/lib/useOnce';

interface EditCaptionProps {
  image: ImageOut;
  caption: string;
  onDone: () => void;
}

export default function EditCaption({ image, caption, onDone }: EditCaptionProps) {
  const { t } = useTranslation(['photo', 'common']);
  const dispatch = useDispatch();
  const [text, setText] = useState(caption);
  const [edit, { error }] = useEditCaptionMutation();
  const field = useRef<HTMLTextAreaElement>(null);
  useEffect(() => field.current?.focus(), []);
  const save = useOnce(async () => {
    if (text.trim() === caption) {
      onDone();
      return;
    }
    const result = await edit({ imageId: image.id, textIn: { text: text.trim() } });
    if (result.error) return;
    dispatch(announced(t('edit.saved')));
    onDone();
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    if (text.trim() !== '') save();
  };
  const problem = error ? problemOf(error) : null;
  return (
    <Stack component="form" spacing={2} onSubmit={onSubmit} noValidate>
      <TextField
        label={t('edit.label')}
        helperText={t('edit.hint')}
        value={text}
        onChange={(event) => setText(event.target.value)}
        onKeyDown={(event) => {
          if (event.key === 'Escape') onDone();
        }}
        inputRef={field}
        multiline
        minRows={2}
        maxRows={8}
        slotProps={{ input: { sx: { fontFamily: 'h3.fontFamily', fontSize: '1.3rem', lineHeight: 1.35 } } }}
      />
      {problem ? (
        <Alert severity="error" role="alert">
          {problem.status === 0 ? t('edit.offline') : [problem.detail, problem.hint].filter(Boolean).join(' ')}
        </Alert>
      ) : null}
      <Stack direction="row" spacing={1}>
        <Button type="submit" variant="contained" disabled={text.trim() === ''}>
          {t('common:action.save')}
        </Button>
        <Button onClick={onDone}>{t('common:action.cancel')}</Button>
      </Stack>
    </Stack>
  );
}
