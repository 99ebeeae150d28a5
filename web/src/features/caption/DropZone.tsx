import AddAPhoto from '@mui/icons-material/AddAPhotoOutlined';
import PhotoLibrary from '@mui/icons-material/AddPhotoAlternateOutlined';
import LinkIcon from '@mui/icons-material/Link';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { Suspense, useEffect, useRef, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { droppedFiles } from '@/shared/lib/dropped';
import { lazyPart } from '@/shared/lib/lazyPart';

const UrlForm = lazyPart(() => import('./UrlForm'));

interface DropZoneProps {
  onFiles: (files: File[]) => void;
  onUrls: (urls: string[]) => void;
}

// Browsers count no raw photo, and some no HEIC, among images.
const ACCEPTED =
  'image/*,.heic,.heif,.avif,.dng,.cr2,.cr3,.crw,.nef,.nrw,.arw,.sr2,.raf,.orf,.rw2,.pef,.srw,.mrw,.x3f';

/** The URLs in a text; empty if it contains anything else. */
function urlsIn(text: string): string[] {
  const parts = text.split(/\s+/).filter(Boolean);
  return parts.every((part) => /^https?:\/\/\S/i.test(part)) ? parts : [];
}

/** Takes photos: dropped, pasted, chosen, taken with the camera, or by URL. */
export function DropZone({ onFiles, onUrls }: DropZoneProps) {
  const { t } = useTranslation('caption');
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const [wantsUrl, setWantsUrl] = useState(false);

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const target = event.target as HTMLElement | null;
      const files = [...(event.clipboardData?.files ?? [])];
      const text = event.clipboardData?.getData('text/plain') ?? '';
      const urls = urlsIn(text);
      if (text && target?.closest('input, textarea, [contenteditable]')) return;
      if (files.length > 0) onFiles(files);
      else if (urls.length > 0) onUrls(urls);
      else return;
      event.preventDefault();
    };
    document.addEventListener('paste', paste);
    return () => document.removeEventListener('paste', paste);
  }, [onFiles, onUrls]);

  // Accept drops anywhere on the page: otherwise the browser would navigate to a file dropped next to the zone.
  useEffect(() => {
    let isOurs = false; // a drag that started on this page
    const isIgnored = ({ target }: Event) => isOurs || (target as HTMLElement).closest?.('input, textarea');
    const handlers: { [name: string]: (event: DragEvent) => void } = {
      dragstart: () => void (isOurs = true),
      dragend: () => void (isOurs = false),
      dragover: (event) => {
        if (isIgnored(event)) return;
        event.preventDefault();
        setOver(true);
      },
      dragleave: () => setOver(false),
      drop: (event) => {
        setOver(false);
        const { dataTransfer } = event;
        if (isIgnored(event) || !dataTransfer) return;
        event.preventDefault();
        const links = dataTransfer.getData('text/uri-list').replace(/^#.*$/gm, ''); // uri-list may contain comments
        const urls = urlsIn(links || dataTransfer.getData('text/plain'));
        void droppedFiles(dataTransfer).then((files) => {
          if (files.length > 0) onFiles(files.map(({ file }) => file));
          else if (urls.length > 0) onUrls(urls);
        });
      },
    };
    for (const [name, handle] of Object.entries(handlers)) document.addEventListener(name, handle as EventListener);
    return () => {
      for (const [name, handle] of Object.entries(handlers)) document.removeEventListener(name, handle as EventListener);
    };
  }, [onFiles, onUrls]);

  const picked = (input: HTMLInputElement) => {
    onFiles([...(input.files ?? [])]);
    input.value = ''; // so that the same photo can be chosen again
  };

  return (
    <Box
      data-testid="dropzone"
      sx={{
        border: 2,
        borderStyle: 'dashed',
        borderColor: isOver ? 'primary.main' : 'divider',
        bgcolor: isOver ? 'action.hover' : 'background.paper',
        borderRadius: '18px',
        px: { xs: 2, sm: 4 },
        py: { xs: 4, md: 6 },
        textAlign: 'center',
        transition: 'border-color 120ms, background-color 120ms',
      }}
    >
      <PhotoLibrary aria-hidden sx={{ fontSize: 44, color: 'primary.main' }} />
      <Typography component="p" variant="h3" sx={{ mt: 1 }}>
        {t('drop.title')}
      </Typography>
      <Typography color="textSecondary" sx={{ mb: 2.5, mt: 0.5 }}>
        {t('drop.hint')}
      </Typography>
      <Stack direction="row" spacing={1.5} useFlexGap sx={{ justifyContent: 'center', flexWrap: 'wrap' }}>
        <Button variant="contained" size="large" onClick={() => picker.current?.click()}>
          {t('drop.choose')}
        </Button>
        <Button
          variant="outlined"
          size="large"
          startIcon={<AddAPhoto />}
          onClick={() => camera.current?.click()}
          sx={{ display: 'none', '@media (pointer: coarse)': { display: 'inline-flex' } }}
        >
          {t('drop.take')}
        </Button>
        <Button
          variant="text"
          size="large"
          startIcon={<LinkIcon />}
          aria-expanded={wantsUrl}
          onClick={() => setWantsUrl(!wantsUrl)}
        >
          {t('drop.url')}
        </Button>
      </Stack>
      {wantsUrl ? (
        <Suspense fallback={<Box sx={{ height: 96 }} />}>
          <UrlForm
            onUrls={(urls) => {
              onUrls(urls);
              setWantsUrl(false);
            }}
          />
        </Suspense>
      ) : null}
      <input
        ref={picker}
        type="file"
        accept={ACCEPTED}
        multiple
        hidden
        aria-label={t('drop.choose')}
        onChange={(event) => picked(event.target)}
      />
      <input
        ref={camera}
        type="file"
        accept="image/*"
        capture="environment"
        hidden
        aria-label={t('drop.take')}
        onChange={(event) => picked(event.target)}
      />
    </Box>
  );
}
