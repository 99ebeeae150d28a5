import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import ToggleButton from '@mui/material/ToggleButton';
import ToggleButtonGroup from '@mui/material/ToggleButtonGroup';
import Typography from '@mui/material/Typography';
import { skipToken } from '@reduxjs/toolkit/query';
import { useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { Link as RouterLink, useParams } from '@/shared/lib/router';
import {
  useCancelBulkMutation,
  useGetBulkQuery,
  useListBulkItemsQuery,
  usePauseBulkMutation,
  useResumeBulkMutation,
  type BulkOut,
  type ListBulkItemsApiArg,
} from '@/shared/api/generated';
import { problemOf } from '@/shared/api/problem';
import { Page } from '@/shared/ui/Page';
import { Failure, Message, QueryView } from '@/shared/ui/StateView';
import { toastShown } from '@/shared/ui/toasts';
import { Item } from './Item';
import { Progress } from './Progress';

const STATES = ['', 'done', 'failed', 'waiting', 'cancelled'] as const;
const LIVE_MS = 2_000;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

export default function BulkPage() {
  const { t } = useTranslation('bulk');
  const { id = '' } = useParams();
  const [isOver, setOver] = useState(false);
  const bulk = useGetBulkQuery(ID.test(id) ? { bulkId: id } : skipToken, { pollingInterval: isOver ? 0 : LIVE_MS });
  const ended = bulk.data ? ['done', 'failed', 'cancelled'].includes(bulk.data.state) : false;
  if (ended !== isOver) setOver(ended);
  return (
    <Page title={bulk.data?.name || t('one')} width="lg" actions={<Button component={RouterLink} to="/bulk" sx={{ mx: -2 }}>{t('back')}</Button>}>
      {bulk.isUninitialized ? <Failure error={{ status: 404 }} /> : null}
      <QueryView query={bulk} loading={bulk.isUninitialized ? null : <Skeleton variant="rounded" height={320} />}>
        {(data) => (
          <Stack spacing={3}>
            <Progress bulk={data} />
            <Controls bulk={data} />
            {data.error ? (
              <Alert severity="error" role="alert">
                {data.error.message}
              </Alert>
            ) : null}
            {ended && !data.error && data.counts.total === 0 ? <Message title={t('noFiles')} hint={t('noFilesHint')} /> : <Items bulk={data} isLive={!ended} />}
          </Stack>
        )}
      </QueryView>
    </Page>
  );
}

function Controls({ bulk }: { bulk: BulkOut }) {
  const { t } = useTranslation('bulk');
  const dispatch = useDispatch();
  const [pause] = usePauseBulkMutation();
  const [resume] = useResumeBulkMutation();
  const [cancel] = useCancelBulkMutation();
  const run = async (action: typeof pause | typeof resume | typeof cancel) => {
    const result = await action({ bulkId: bulk.id });
    if (result.error) dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('failed') }));
  };
  const isOpen = bulk.state === 'queued' || bulk.state === 'running' || bulk.state === 'paused';
  return (
    <Stack direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap' }}>
      {bulk.state === 'paused' ? (
        <Button variant="contained" onClick={() => void run(resume)}>
          {t('resume')}
        </Button>
      ) : isOpen ? (
        <Button variant="outlined" onClick={() => void run(pause)}>
          {t('pause')}
        </Button>
      ) : null}
      {isOpen ? (
        <Button color="error" onClick={() => void run(cancel)}>
          {t('cancel')}
        </Button>
      ) : null}
      {Object.entries(bulk.result_urls).map(([format, url]) => (
        <Button key={format} component="a" href={url} download variant="outlined">
          {t('download', { format: format.toUpperCase() })}
        </Button>
      ))}
    </Stack>
  );
}

function Items({ bulk, isLive }: { bulk: BulkOut; isLive: boolean }) {
  const { t } = useTranslation('bulk');
  const [state, setState] = useState<NonNullable<ListBulkItemsApiArg['state']>>('');
  const [cursors, setCursors] = useState<string[]>([]);
  const cursor = cursors.at(-1);
  const items = useListBulkItemsQuery(
    { bulkId: bulk.id, state, limit: 50, ...(cursor ? { cursor } : {}) },
    { pollingInterval: isLive ? LIVE_MS * 2 : 0 },
  );
  return (
    <section aria-label={t('items')}>
      <ToggleButtonGroup
        exclusive
        size="small"
        value={state}
        aria-label={t('filter')}
        onChange={(_, value: (typeof STATES)[number] | null) => {
          setState(value ?? '');
          setCursors([]);
        }}
        sx={{ mb: 2, flexWrap: 'wrap' }}
      >
        {STATES.filter((each) => each !== 'cancelled' || bulk.counts.cancelled > 0).map((each) => (
          <ToggleButton key={each} value={each}>
            {t(`item.${each || 'all'}`)}
          </ToggleButton>
        ))}
      </ToggleButtonGroup>
      <QueryView
        query={items}
        loading={<Skeleton variant="rounded" height={240} />}
        isEmpty={(page) => page.items.length === 0}
        empty={<Typography color="textSecondary">{t('nothing')}</Typography>}
      >
        {(page) => (
          <>
            <Stack component="ol" sx={{ listStyle: 'none', p: 0, m: 0 }}>
              {page.items.map((item) => (
                <Box component="li" key={item.number} sx={{ borderTop: 1, borderColor: 'divider', py: 1.25 }}>
                  <Item item={item} voiceLanguage={bulk.voice?.language} />
                </Box>
              ))}
            </Stack>
            <Stack direction="row" spacing={1} sx={{ mt: 2 }}>
              {cursors.length > 0 ? <Button onClick={() => setCursors(cursors.slice(0, -1))}>{t('previous')}</Button> : null}
              {page.next ? <Button onClick={() => setCursors([...cursors, page.next ?? ''])}>{t('next')}</Button> : null}
            </Stack>
          </>
        )}
      </QueryView>
    </section>
  );
}
