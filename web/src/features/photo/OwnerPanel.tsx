import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { Suspense, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useNavigate } from '@/shared/lib/router';
import { useDeleteImageMutation, type ImageOut } from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { useFormats } from '@/shared/i18n/format';
import { lazyPart } from '@/shared/lib/lazyPart';
import { useOnce } from '@/shared/lib/useOnce';
import { toastShown } from '@/shared/ui/toasts';
import { Sharing } from './Sharing';
import { Tags } from './Tags';

const Recaption = lazyPart(() => import('./Recaption'));
const History = lazyPart(() => import('./History'));

interface OwnerPanelProps {
  image: ImageOut;
  caption: string;
}

/** The owner's actions on a photo, except for its caption. */
export default function OwnerPanel({ image, caption }: OwnerPanelProps) {
  const { t } = useTranslation('photo');
  const formats = useFormats();
  const dispatch = useDispatch();
  const navigate = useNavigate();
  const [open, setOpen] = useState<'recaption' | 'history' | null>(null);
  const [remove] = useDeleteImageMutation();
  const toggle = (part: 'recaption' | 'history') => setOpen(open === part ? null : part);
  const onDelete = useOnce(async () => {
    const result = await remove({ imageId: image.id });
    if (result.error) {
      dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('delete.failed') }));
      return;
    }
    dispatch(toastShown({ tone: 'info', text: t('delete.done'), undo: { kind: 'undelete', ids: [image.id] } }));
    navigate('/library');
  });
  return (
    <Stack spacing={4}>
      <Box>
        <Stack direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap' }}>
          <Button variant="outlined" aria-expanded={open === 'recaption'} onClick={() => toggle('recaption')}>
            {t('recaption.open')}
          </Button>
          <Button variant="outlined" aria-expanded={open === 'history'} onClick={() => toggle('history')}>
            {t('history.open')}
          </Button>
        </Stack>
        <Suspense fallback={<Box sx={{ minHeight: 200 }} />}>
          {open === 'recaption' ? <Recaption image={image} onDone={() => setOpen(null)} /> : null}
          {open === 'history' ? <History image={image} caption={caption} /> : null}
        </Suspense>
      </Box>
      <Sharing image={image} />
      <Tags image={image} />
      <Box component="section" aria-label={t('details')}>
        <Typography variant="body2" color="textSecondary">
          {[image.file_name, `${image.width_px} × ${image.height_px}`, formats.dateTime(image.created_at)].filter(Boolean).join(' · ')}
        </Typography>
        {image.expires_at ? (
          <Typography variant="body2" color="textSecondary">
            {t('expires', { date: formats.dateTime(image.expires_at) })}
          </Typography>
        ) : null}
        <Button color="error" onClick={onDelete} sx={{ mt: 1, ml: -2 }}>
          {t('delete.button')}
        </Button>
      </Box>
    </Stack>
  );
}
