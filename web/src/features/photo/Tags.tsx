import Close from '@mui/icons-material/Close';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import TextField from '@mui/material/TextField';
import Typography from '@mui/material/Typography';
import { useState, type FormEvent } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useChangeImageMutation, type ImageOut } from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useOnce } from '@/shared/lib/useOnce';

export function Tags({ image }: { image: ImageOut }) {
  const { t } = useTranslation('photo');
  const [text, setText] = useState('');
  const [change, { error }] = useChangeImageMutation();
  const write = (tags: string[]) => change({ imageId: image.id, imageIn: { tags } });
  const remove = useOnce((tag: string) => write(image.tags.filter((each) => each !== tag)));
  const add = useOnce(async () => {
    const fresh = text.split(',').map((each) => each.trim().toLowerCase()).filter(Boolean);
    if (fresh.length === 0) return;
    const result = await write([...new Set([...image.tags, ...fresh])]);
    if (!result.error) setText('');
  });
  const onSubmit = (event: FormEvent) => {
    event.preventDefault();
    add();
  };
  return (
    <section aria-labelledby="tags">
      <Typography variant="h3" component="h2" id="tags" gutterBottom>
        {t('tags.label')}
      </Typography>
      {image.tags.length > 0 ? (
        <Stack component="ul" direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap', listStyle: 'none', p: 0, m: 0, mb: 1.5 }}>
          {image.tags.map((tag) => (
            <li key={tag}>
              <Button
                size="small"
                variant="outlined"
                color="inherit"
                endIcon={<Close />}
                aria-label={t('tags.remove', { tag })}
                onClick={() => remove(tag)}
              >
                {tag}
              </Button>
            </li>
          ))}
        </Stack>
      ) : null}
      <Stack component="form" direction="row" spacing={1} onSubmit={onSubmit} noValidate>
        <TextField
          label={t('tags.add')}
          value={text}
          onChange={(event) => setText(event.target.value)}
          error={Boolean(error)}
          helperText={error ? problemOf(error).detail || t('tags.failed') : t('tags.hint')}
        />
        <Button type="submit" variant="outlined" sx={{ alignSelf: 'flex-start', flexShrink: 0 }}>
          {t('tags.button')}
        </Button>
      </Stack>
    </section>
  );
}
