import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useListVersionsQuery, useRestoreVersionMutation, type ImageOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { problemOf } from '@/shared/api/problem';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { useFormats } from '@/shared/i18n/format';
import { useOnce } from '@/shared/lib/useOnce';
import { QueryView } from '@/shared/ui/StateView';
import { toastShown } from '@/shared/ui/toasts';

/** All versions of the caption, newest first; each can be restored. */
export default function History({ image, caption }: { image: ImageOut; caption: string }) {
  const { t } = useTranslation('photo');
  const languageOf = useCaptionLanguage();
  const formats = useFormats();
  const dispatch = useDispatch();
  const versions = useListVersionsQuery({ imageId: image.id, limit: 100 });
  const [restore] = useRestoreVersionMutation();
  const restoreVersion = useOnce(async (number: number) => {
    const result = await restore({ imageId: image.id, number });
    if (result.error) dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('history.failed') }));
    else dispatch(announced(t('history.done')));
  });
  return (
    <QueryView query={versions} loading={<Skeleton variant="rounded" height={200} sx={{ mt: 2 }} />}>
      {({ items }) => (
        <Stack component="ol" reversed spacing={1} sx={{ listStyle: 'none', p: 0, mt: 2, mb: 0 }}>
          {items.map((version) => (
            <Box component="li" key={version.number} sx={{ borderLeft: 3, borderColor: 'divider', pl: 2, py: 0.5 }}>
              <Typography lang={languageOf(version.by)} sx={{ fontFamily: 'h3.fontFamily', fontSize: '1.05rem' }}>
                {version.text}
              </Typography>
              <Stack direction="row" spacing={1} sx={{ alignItems: 'center', minHeight: 40 }}>
                <Typography variant="body2" color="textSecondary" sx={{ flex: 1 }}>
                  {t(`history.${version.action}`, { model: version.model, number: version.restored_from ?? 0 })}
                  {' · '}
                  {formats.dateTime(version.created_at)}
                </Typography>
                {version.text === caption ? null : (
                  <Button size="small" onClick={() => restoreVersion(version.number)}>
                    {t('history.restore')}
                  </Button>
                )}
              </Stack>
            </Box>
          ))}
        </Stack>
      )}
    </QueryView>
  );
}
