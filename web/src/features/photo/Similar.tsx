import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import type { ImageOut } from '@/shared/api/generated';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { photoSources } from '@/shared/lib/sources';
import { useListSimilarQuery, type AnswerOut } from '@/shared/likeness/generated';
import { Photo } from '@/shared/ui/Photo';

const COUNT = 12;
const TILES = {
  display: 'grid',
  gap: 1.5,
  gridTemplateColumns: 'repeat(auto-fill, minmax(min(30%, 150px), 1fr))',
  listStyle: 'none',
  m: 0,
  p: 0,
} as const;

interface SimilarProps {
  image: ImageOut;
  token?: string; // of the share link that was opened
}

/** Photos like this one: among the owner's own, for others among the gallery's, where it is left out if empty. */
export default function Similar({ image, token }: SimilarProps) {
  const { t } = useTranslation('photo');
  const { data, error, isFetching, refetch } = useListSimilarQuery({ imageId: image.id, token, limit: COUNT });
  if (!image.mine && !data?.items.length) return null;
  return (
    <Box component="section" aria-labelledby="similar" sx={{ mt: { xs: 5, md: 7 } }}>
      <Typography id="similar" variant="h2" sx={{ mb: 2 }}>
        {t('similar.title')}
      </Typography>
      {data ? (
        <Answer answer={data} />
      ) : error && !isFetching ? (
        <Typography role="alert">
          {t('similar.failed')} <Button onClick={() => void refetch()}>{t('similar.retry')}</Button>
        </Typography>
      ) : (
        <Box role="status" aria-label={t('similar.loading')} sx={TILES}>
          {Array.from({ length: COUNT / 2 }, (_, place) => (
            <Skeleton key={place} variant="rounded" sx={{ aspectRatio: '4 / 3', height: 'auto', borderRadius: '10px' }} />
          ))}
        </Box>
      )}
    </Box>
  );
}

function Answer({ answer }: { answer: AnswerOut }) {
  const { t } = useTranslation('photo');
  if (answer.items.length === 0) {
    return <Typography color="textSecondary">{t(`similar.${answer.reason || 'nothing'}`)}</Typography>;
  }
  return (
    <Box component="ul" sx={TILES}>
      {answer.items.map(({ image }) => (
        <Box component="li" key={image.id} sx={{ minWidth: 0 }}>
          <Tile image={image} />
        </Box>
      ))}
    </Box>
  );
}

function Tile({ image }: { image: ImageOut }) {
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
