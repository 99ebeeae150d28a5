import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Checkbox from '@mui/material/Checkbox';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import type { ImageOut } from '@/shared/api/generated';
import { usePollingMs } from '@/shared/api/polling';
import { useFormats } from '@/shared/i18n/format';
import { useListDuplicatesQuery } from '@/shared/likeness/generated';
import { Page } from '@/shared/ui/Page';
import { PhotoGridSkeleton } from '@/shared/ui/PhotoGrid';
import { PhotoTile } from '@/shared/ui/PhotoTile';
import { Message, QueryView } from '@/shared/ui/StateView';
import { SelectionBar } from './SelectionBar';

const COUNT = 100;

/** All but the largest of a group; the oldest of those that are equally large. */
function smallerOf(group: ImageOut[]): ImageOut[] {
  const area = (image: ImageOut) => image.width_px * image.height_px;
  const kept = group.reduce((best, each) => (area(each) > area(best) ? each : best));
  return group.filter((each) => each !== kept);
}

/** Photos that look the same, in groups, to keep one of each. */
export default function CopiesPage() {
  const { t } = useTranslation('library');
  const [isPending, setPending] = useState(false);
  const query = useListDuplicatesQuery({ limit: COUNT }, { pollingInterval: usePollingMs(isPending) });
  // The photos of a large library are compared in the background: poll until they are.
  const waits = query.data?.reason === 'pending';
  if (waits !== isPending) setPending(waits);
  const groups = query.data?.groups ?? [];
  const [chosen, setChosen] = useState<ReadonlySet<string>>(new Set());
  const there = new Set(groups.flat().map((image) => image.id));
  const selected = new Set([...chosen].filter((id) => there.has(id)));
  const select = (images: ImageOut[]) => setChosen(new Set([...selected, ...images.map((image) => image.id)]));
  const toggle = (id: string) => {
    const next = new Set(selected);
    if (!next.delete(id)) next.add(id);
    setChosen(next);
  };
  return (
    <Page
      title={t('copies.title')}
      lead={t('copies.lead')}
      width="xl"
      actions={
        <Button component={Link} to="/library" variant="outlined">
          {t('copies.back')}
        </Button>
      }
    >
      <SelectionBar selected={selected} onClear={() => setChosen(new Set())} onAll={() => select(groups.flat())} />
      <QueryView
        query={query}
        loading={<PhotoGridSkeleton />}
        isEmpty={(data) => data.groups.length === 0}
        empty={<Message title={t(waits ? 'copies.waiting' : 'copies.none')} hint={t(`copies.${query.data?.reason || 'noneHint'}`)} />}
      >
        {(data) => (
          <Stack spacing={3}>
            <div>
              <Button variant="contained" onClick={() => select(data.groups.flatMap(smallerOf))}>
                {t('copies.select')}
              </Button>
            </div>
            {data.groups.map((group, place) => (
              <Group key={group[0]?.id} images={group} place={place + 1} selected={selected} onToggle={toggle} />
            ))}
          </Stack>
        )}
      </QueryView>
    </Page>
  );
}

interface GroupProps {
  images: ImageOut[];
  place: number;
  selected: ReadonlySet<string>;
  onToggle: (id: string) => void;
}

function Group({ images, place, selected, onToggle }: GroupProps) {
  const { t } = useTranslation('library');
  const formats = useFormats();
  return (
    <Box component="section" aria-label={t('copies.group', { place, count: images.length })} sx={{ border: 1, borderColor: 'divider', borderRadius: '14px', p: 2 }}>
      <Box component="ul" sx={{ display: 'grid', gap: 2, gridTemplateColumns: 'repeat(auto-fill, minmax(min(45%, 200px), 1fr))', listStyle: 'none', m: 0, p: 0 }}>
        {images.map((image) => {
          const name = image.file_name || image.caption;
          return (
            <Box component="li" key={image.id} sx={{ minWidth: 0 }}>
              <PhotoTile image={image} />
              <Stack direction="row" sx={{ alignItems: 'flex-start', mt: 0.5 }}>
                <Checkbox
                  checked={selected.has(image.id)}
                  onChange={() => onToggle(image.id)}
                  slotProps={{ input: { 'aria-label': t('select', { caption: `${name}, ${image.width_px} × ${image.height_px}` }) } }}
                />
                <Box sx={{ minWidth: 0, pt: 1 }}>
                  <Typography noWrap>{name}</Typography>
                  <Typography color="textSecondary" variant="body2">
                    {image.width_px} × {image.height_px} · {formats.date(image.created_at)}
                  </Typography>
                </Box>
              </Stack>
            </Box>
          );
        })}
      </Box>
    </Box>
  );
}
