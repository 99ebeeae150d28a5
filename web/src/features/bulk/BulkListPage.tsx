import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import LinearProgress from '@mui/material/LinearProgress';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useRef, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { Link, useNavigate } from '@/shared/lib/router';
import { api, useGetSessionQuery, useListBulksQuery, type BulkOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';
import { droppedFiles, type Dropped } from '@/shared/lib/dropped';
import { newId } from '@/shared/lib/newId';
import { useOnce } from '@/shared/lib/useOnce';
import { Page } from '@/shared/ui/Page';
import { Message, QueryView } from '@/shared/ui/StateView';
import type { VoiceOut } from '@/shared/voice/generated';
import { Progress } from './Progress';
import { pack, sendArchive } from './send';
import { VoiceChoice } from './VoiceChoice';

const ACTIVE_MS = 3_000;

export default function BulkListPage() {
  const { t } = useTranslation('bulk');
  const bulks = useListBulksQuery({ limit: 50 }, { pollingInterval: ACTIVE_MS * 5 });
  return (
    <Page title={t('title')} lead={t('lead')} width="lg">
      <NewBulk />
      <Typography variant="h2" sx={{ mt: 5, mb: 2 }}>
        {t('earlier')}
      </Typography>
      <QueryView
        query={bulks}
        loading={<Skeleton variant="rounded" height={160} />}
        isEmpty={({ items }) => items.length === 0}
        empty={<Message title={t('none')} hint={t('noneHint')} />}
      >
        {({ items }) => (
          <Stack component="ul" spacing={1.5} sx={{ listStyle: 'none', p: 0, m: 0 }}>
            {items.map((bulk) => (
              <BulkRow key={bulk.id} bulk={bulk} />
            ))}
          </Stack>
        )}
      </QueryView>
    </Page>
  );
}

function BulkRow({ bulk }: { bulk: BulkOut }) {
  const formats = useFormats();
  return (
    <Box component="li" sx={{ border: 1, borderColor: 'divider', borderRadius: '14px', p: 2, bgcolor: 'background.paper' }}>
      <Stack direction="row" spacing={2} sx={{ justifyContent: 'space-between', alignItems: 'baseline', mb: 1 }}>
        <Typography
          component={Link}
          to={`/bulk/${bulk.id}`}
          sx={{ color: 'text.primary', fontWeight: 600, overflowWrap: 'anywhere' }}
        >
          {bulk.name || bulk.id}
        </Typography>
        <Typography variant="body2" color="textSecondary" sx={{ whiteSpace: 'nowrap' }}>
          {formats.relative(bulk.created_at)}
        </Typography>
      </Stack>
      <Progress bulk={bulk} />
    </Box>
  );
}

/** Upload of a ZIP or a folder; a folder is packed into one archive. */
function NewBulk() {
  const { t } = useTranslation('bulk');
  const formats = useFormats();
  const dispatch = useDispatch();
  const navigate = useNavigate();
  const limits = useGetSessionQuery({}).data?.limits;
  const archive = useRef<HTMLInputElement>(null);
  const folder = useRef<HTMLInputElement>(null);
  const [share, setShare] = useState<number | null>(null);
  const [problem, setProblem] = useState('');
  const [isOver, setOver] = useState(false);
  const [voice, setVoice] = useState<VoiceOut | null>(null);

  const send = useOnce(async (name: string, archiveOf: () => Blob | Promise<Blob>) => {
    setProblem('');
    setShare(0);
    let blob: Blob;
    try {
      blob = await archiveOf();
    } catch {
      // A file was moved, or a folder is not readable.
      setShare(null);
      setProblem(t('new.unreadable'));
      return;
    }
    if (limits && blob.size > limits.max_bulk_bytes) {
      // The server would close the connection mid-upload, which looks like a network failure.
      setShare(null);
      setProblem(t('new.tooLarge', { limit: formats.bytes(limits.max_bulk_bytes) }));
      return;
    }
    const sent = await sendArchive({ archive: blob, name, voice }, newId(), setShare);
    setShare(null);
    if (sent.ok) {
      // The upload may have created a session: reload it, so that the event stream starts.
      dispatch(api.util.invalidateTags(['bulk', 'people']));
      navigate(`/bulk/${sent.bulk.id}`);
    } else {
      const { status, detail, hint } = sent.problem;
      setProblem(status === 0 ? t('new.offline') : [detail, hint].filter(Boolean).join(' '));
    }
  });
  const sendArchiveFile = (file: File) => send(file.name, () => file);
  const sendFolder = (files: Dropped[]) => {
    const folder = files[0]?.path.includes('/') ? files[0].path.split('/')[0] : '';
    if (files.length > 0) send(`${folder || 'photos'}.zip`, () => pack(files));
  };
  const pickedFolder = (files: File[]) =>
    sendFolder(
      files.filter((file) => !file.name.startsWith('.')).map((file) => ({ path: file.webkitRelativePath || file.name, file })),
    );
  const dropped = async (what: DataTransfer) => {
    const files = await droppedFiles(what).catch(() => null);
    const only = files?.length === 1 ? files[0]?.file : undefined;
    if (files === null) setProblem(t('new.unreadable'));
    else if (only && /\.zip$/i.test(only.name)) sendArchiveFile(only);
    else sendFolder(files);
  };
  return (
    <Box
      onDragOver={(event) => {
        if (![...event.dataTransfer.types].includes('Files')) return;
        event.preventDefault();
        setOver(true);
      }}
      onDragLeave={() => setOver(false)}
      onDrop={(event) => {
        event.preventDefault();
        setOver(false);
        void dropped(event.dataTransfer);
      }}
      sx={{ border: 2, borderStyle: 'dashed', borderColor: isOver ? 'primary.main' : 'divider', borderRadius: '18px', bgcolor: 'background.paper', p: { xs: 3, md: 5 }, textAlign: 'center' }}>
      <Typography variant="h3" component="p">
        {t('new.title')}
      </Typography>
      <Typography color="textSecondary" sx={{ mb: 2.5 }}>
        {t('new.hint')}
      </Typography>
      <Stack direction="row" spacing={1.5} useFlexGap sx={{ justifyContent: 'center', flexWrap: 'wrap' }}>
        <Button variant="contained" size="large" disabled={share !== null} onClick={() => archive.current?.click()}>
          {t('new.zip')}
        </Button>
        <Button variant="outlined" size="large" disabled={share !== null} onClick={() => folder.current?.click()}>
          {t('new.folder')}
        </Button>
      </Stack>
      <VoiceChoice isDisabled={share !== null} onChoose={setVoice} />
      {share !== null ? (
        <Box sx={{ mt: 2 }}>
          <LinearProgress variant="determinate" value={share * 100} aria-label={t('new.sending', { percent: formats.percent(share) })} />
          <Typography variant="body2" sx={{ mt: 0.5 }}>
            {t('new.sending', { percent: formats.percent(share) })}
          </Typography>
        </Box>
      ) : null}
      {problem ? (
        <Alert severity="error" role="alert" sx={{ mt: 2 }}>
          {problem}
        </Alert>
      ) : null}
      <input
        ref={archive}
        type="file"
        accept=".zip,application/zip"
        hidden
        aria-label={t('new.zip')}
        onChange={(event) => {
          const file = event.target.files?.[0];
          if (file) sendArchiveFile(file);
          event.target.value = '';
        }}
      />
      <input
        ref={folder}
        type="file"
        multiple
        hidden
        {...{ webkitdirectory: '' }}
        aria-label={t('new.folder')}
        onChange={(event) => {
          pickedFolder([...(event.target.files ?? [])]);
          event.target.value = '';
        }}
      />
    </Box>
  );
}
