import Box from '@mui/material/Box';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '@/shared/api/generated';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { Link } from '@/shared/lib/router';
import { photoSources } from '@/shared/lib/sources';
import { Photo } from './Photo';

/** A photo that leads to its page. */
export function PhotoTile({ image }: { image: ImageOut }) {
  const { t } = useTranslation();
  const languageOf = useCaptionLanguage();
  return (
    <Box
      component={Link}
      to={`/images/${image.id}`}
      lang={image.caption ? languageOf(image.caption_by) : undefined}
      sx={{ display: 'block', borderRadius: '10px', overflow: 'hidden', border: 1, borderColor: 'divider' }}
    >
      <Photo
        sources={photoSources(image.urls, 'thumbnail') ?? photoSources(image.urls, 'master')}
        alt={image.description || image.caption || t('photo.noCaption')}
        width={4}
        height={3}
        placeholder={image.placeholder}
      />
    </Box>
  );
}
