import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '@/shared/api/generated';
import { useListSimilarQuery } from '@/shared/likeness/generated';
import { PhotoTile } from '@/shared/ui/PhotoTile';
import { QueryView } from '@/shared/ui/StateView';

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
  const query = useListSimilarQuery({ imageId: image.id, token, limit: COUNT });
  if (!image.mine && !query.data?.items.length) return null;
  return (
    <Box component="section" aria-labelledby="similar" sx={{ mt: { xs: 5, md: 7 } }}>
      <Typography id="similar" variant="h2" sx={{ mb: 2 }}>
        {t('similar.title')}
      </Typography>
      <QueryView
        query={query}
        loading={
          <Box role="status" aria-label={t('similar.loading')} sx={TILES}>
            {Array.from({ length: COUNT / 2 }, (_, place) => (
              <Skeleton key={place} variant="rounded" sx={{ aspectRatio: '4 / 3', height: 'auto', borderRadius: '10px' }} />
            ))}
          </Box>
        }
        isEmpty={(data) => data.items.length === 0}
        empty={<Typography color="textSecondary">{t(`similar.${query.data?.reason || 'nothing'}`)}</Typography>}
      >
        {({ items }) => (
          <Box component="ul" sx={TILES}>
            {items.map((found) => (
              <Box component="li" key={found.image.id} sx={{ minWidth: 0 }}>
                <PhotoTile image={found.image} />
              </Box>
            ))}
          </Box>
        )}
      </QueryView>
    </Box>
  );
}
