import Alert from '@mui/material/Alert';
import Button from '@mui/material/Button';
import FormControl from '@mui/material/FormControl';
import FormControlLabel from '@mui/material/FormControlLabel';
import FormLabel from '@mui/material/FormLabel';
import Radio from '@mui/material/Radio';
import RadioGroup from '@mui/material/RadioGroup';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useChangeImageMutation, type ImageOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { problemOf } from '@/shared/api/problem';
import { copyText } from '@/shared/lib/clipboard';
import { toastShown } from '@/shared/ui/toasts';

const CHOICES = ['private', 'unlisted', 'public'] as const;
type Visibility = (typeof CHOICES)[number];

/** The photo's visibility and its share link. */
export function Sharing({ image }: { image: ImageOut }) {
  const { t } = useTranslation('photo');
  const dispatch = useDispatch();
  const [change, { isLoading }] = useChangeImageMutation();
  const [chosen, setChosen] = useState<Visibility | null>(null); // shown until the image is updated
  if (chosen !== null && chosen === image.visibility) setChosen(null);
  const choose = async (visibility: Visibility) => {
    setChosen(visibility);
    const result = await change({ imageId: image.id, imageIn: { visibility } });
    if (result.error) {
      setChosen(null);
      dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('visibility.failed') }));
    } else dispatch(announced(t('visibility.changed', { choice: t(`visibility.${visibility}`) })));
  };
  const link = image.visibility === 'private' ? null : image.share_url;
  const copy = async () => {
    if (!link) return;
    const isCopied = await copyText(link);
    dispatch(toastShown({ tone: isCopied ? 'success' : 'error', text: isCopied ? t('link.done') : link }));
  };
  return (
    <FormControl component="section" aria-busy={isLoading}>
      <FormLabel id="visibility" sx={{ typography: 'h3', color: 'text.primary', mb: 0.5, '&.Mui-focused': { color: 'text.primary' } }}>
        {t('visibility.label')}
      </FormLabel>
      <RadioGroup
        aria-labelledby="visibility"
        value={chosen ?? image.visibility}
        onChange={(_, value) => void choose(value as Visibility)}
      >
        {CHOICES.map((choice) => (
          <FormControlLabel key={choice} value={choice} control={<Radio />} label={t(`visibility.${choice}`)} />
        ))}
      </RadioGroup>
      {image.visibility === 'public' ? (
        <Alert severity={image.moderation === 'rejected' ? 'error' : image.moderation === 'approved' ? 'success' : 'info'} sx={{ mt: 1 }}>
          {t(`moderation.${image.moderation}`)}
        </Alert>
      ) : null}
      {image.words_unread ? (
        <Alert severity="info" sx={{ mt: 1 }}>
          {t('moderation.words')}
        </Alert>
      ) : null}
      {link ? (
        <Button variant="outlined" onClick={() => void copy()} sx={{ mt: 1, alignSelf: 'flex-start' }}>
          {t('link.copy')}
        </Button>
      ) : null}
    </FormControl>
  );
}
