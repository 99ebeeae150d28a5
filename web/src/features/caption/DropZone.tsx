import AddAPhoto from '@mui/icons-material/AddAPhotoOutlined';
import PhotoLibrary from '@mui/icons-material/AddPhotoAlternateOutlined';
import LinkIcon from '@mui/icons-material/Link';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { lazy, Suspense, useEffect, useRef, useState, type DragEvent } from 'react';
import { useTranslation } from 'react-i18next';

const UrlForm = lazy(() => import('./UrlForm'));

interface DropZoneProps {
  onFiles: (files: File[]) => void;
  onUrls: (urls: string[]) => void;
}

// A folder that is dropped holds its photos some levels down.
async function filesOf(items: DataTransferItemList): Promise<File[]> {
  const entries = [...items].map((item) => item.webkitGetAsEntry()).filter((entry) => entry !== null);
  const found: File[] = [];
  const visit = async (entry: FileSystemEntry): Promise<void> => {
    if (entry.isFile) {
      const file = await new Promise<File>((resolve, reject) => (entry as FileSystemFileEntry).file(resolve, reject));
      if (!file.name.startsWith('.')) found.push(file);
    } else {
      const reader = (entry as FileSystemDirectoryEntry).createReader();
      for (;;) {
        const some = await new Promise<FileSystemEntry[]>((resolve, reject) => reader.readEntries(resolve, reject));
        if (some.length === 0) return;
        for (const each of some) await visit(each);
      }
    }
  };
  for (const entry of entries) await visit(entry);
  return found;
}

function isAddress(text: string): boolean {
  return /^https?:\/\/\S+$/i.test(text.trim());
}

/** Where photos come in: dropped, pasted, picked, taken, or by address. */
export function DropZone({ onFiles, onUrls }: DropZoneProps) {
  const { t } = useTranslation('caption');
  const picker = useRef<HTMLInputElement>(null);
  const camera = useRef<HTMLInputElement>(null);
  const [isOver, setOver] = useState(false);
  const [wantsUrl, setWantsUrl] = useState(false);

  useEffect(() => {
    const paste = (event: ClipboardEvent) => {
      const target = event.target as HTMLElement | null;
      if (target?.closest('input, textarea, [contenteditable]')) return;
      const files = [...(event.clipboardData?.files ?? [])];
      const text = event.clipboardData?.getData('text/plain') ?? '';
      if (files.length > 0) onFiles(files);
      else if (isAddress(text)) onUrls([text.trim()]);
      else return;
      event.preventDefault();
    };
    document.addEventListener('paste', paste);
    return () => document.removeEventListener('paste', paste);
  }, [onFiles, onUrls]);

  const over = (event: DragEvent) => {
    event.preventDefault();
    setOver(true);
  };
  const drop = (event: DragEvent) => {
    event.preventDefault();
    setOver(false);
    const address = event.dataTransfer.getData('text/uri-list').split('\n').find(isAddress);
    void filesOf(event.dataTransfer.items).then((files) => {
      if (files.length > 0) onFiles(files);
      else if (address) onUrls([address]);
    });
  };
  const picked = (input: HTMLInputElement) => {
    onFiles([...(input.files ?? [])]);
    input.value = ''; // the same photo may be picked again
  };

  return (
    <Box
      data-testid="dropzone"
      onDragEnter={over}
      onDragOver={over}
      onDragLeave={() => setOver(false)}
      onDrop={drop}
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
        accept="image/*,.heic,.heif,.avif"
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
