import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Table from '@mui/material/Table';
import TableBody from '@mui/material/TableBody';
import TableCell from '@mui/material/TableCell';
import TableHead from '@mui/material/TableHead';
import TableRow from '@mui/material/TableRow';
import Typography from '@mui/material/Typography';
import { skipToken } from '@reduxjs/toolkit/query';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';
import { useGetStatsQuery, type DayOut, type StatsOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';
import { useViewer } from '@/shared/api/viewer';
import { Page } from '@/shared/ui/Page';
import { Scrolled } from '@/shared/ui/Scrolled';
import { Failure, QueryView } from '@/shared/ui/StateView';
import { Chart } from './Chart';

const TILES = { xs: '1fr 1fr', sm: 'repeat(4, 1fr)', lg: 'repeat(8, 1fr)' };
const REFRESH_MS = 30_000;

/** Statistics of the service, for staff. */
export default function DashboardPage() {
  const { t } = useTranslation('dashboard');
  const viewer = useViewer();
  const stats = useGetStatsQuery(viewer?.isStaff ? { days: 30 } : skipToken, { pollingInterval: REFRESH_MS });
  return (
    <Page title={t('title')} lead={t('lead')} width="xl">
      {viewer && !viewer.isStaff ? (
        <Failure error={{ status: 403 }} />
      ) : (
        <QueryView query={stats} loading={<DashboardSkeleton />}>
          {(data) => <Dashboard stats={data} />}
        </QueryView>
      )}
    </Page>
  );
}

function DashboardSkeleton() {
  const { t } = useTranslation();
  return (
    <Box role="status" aria-label={t('state.loading')}>
      <Box sx={{ display: 'grid', gap: 2, gridTemplateColumns: TILES, mb: 3 }}>
        {Array.from({ length: 8 }, (_, place) => (
          <Skeleton key={place} variant="rounded" height={90} sx={{ borderRadius: '14px' }} />
        ))}
      </Box>
      <Box sx={{ display: 'grid', gap: 3, gridTemplateColumns: { md: '1fr 1fr' } }}>
        {Array.from({ length: 6 }, (_, place) => (
          <Skeleton key={place} variant="rounded" height={330} sx={{ borderRadius: '14px' }} />
        ))}
      </Box>
    </Box>
  );
}

interface CountsProps {
  title: string;
  days: DayOut[];
  series: [name: string, field: 'uploads' | 'accounts' | 'ratings_up' | 'ratings_down' | 'edits' | 'picks' | 'failed_jobs'][];
}

/** Counts per day, with their sum. */
function Counts({ title, days, series }: CountsProps) {
  const { t } = useTranslation('dashboard');
  const formats = useFormats();
  const values = series.map(([name, field]) => ({ name: t(name), values: days.map((day) => day[field]) }));
  const sum = values.flatMap((each) => each.values).reduce((whole, each) => whole + each, 0);
  return <Chart title={title} total={t('total', { number: formats.number(sum) })} labels={days.map((day) => day.date)} series={values} />;
}

function Dashboard({ stats }: { stats: StatsOut }) {
  const { t } = useTranslation('dashboard');
  const formats = useFormats();
  const { queue, days } = stats;
  const numbers: [string, number | string][] = [
    [t('number.images'), stats.images],
    [t('number.public'), stats.public_images],
    [t('number.accounts'), stats.accounts],
    [t('number.queue'), queue.interactive + queue.bulk],
    [t('number.running'), queue.running],
    [t('number.oldest'), queue.oldest_s === null ? '–' : formats.seconds(queue.oldest_s)],
    [t('number.held'), stats.held_images],
    [t('number.reports'), stats.open_reports],
  ];
  return (
    <>
      <Box component="dl" sx={{ display: 'grid', gap: 2, gridTemplateColumns: TILES, m: 0, mb: 3 }}>
        {numbers.map(([label, value]) => (
          <Box key={label} sx={{ display: 'flex', flexDirection: 'column', justifyContent: 'space-between', border: 1, borderColor: 'divider', borderRadius: '14px', p: 2, bgcolor: 'background.paper' }}>
            <Typography component="dt" variant="body2" color="textSecondary">
              {label}
            </Typography>
            <Typography component="dd" variant="h2" sx={{ m: 0 }}>
              {typeof value === 'number' ? formats.number(value) : value}
            </Typography>
          </Box>
        ))}
      </Box>
      <Box sx={{ display: 'grid', gap: 3, gridTemplateColumns: { md: '1fr 1fr' } }}>
        <Counts title={t('chart.uploads')} days={days} series={[['chart.uploads', 'uploads']]} />
        <Chart
          kind="lines"
          title={t('chart.latency')}
          total={days.some((day) => day.latency.median_s !== null) ? undefined : t('none')}
          labels={days.map((day) => day.date)}
          series={[
            { name: t('chart.median'), values: days.map((day) => day.latency.median_s) },
            { name: t('chart.p95'), values: days.map((day) => day.latency.p95_s) },
          ]}
          format={formats.seconds}
        />
        <Counts title={t('chart.ratings')} days={days} series={[['chart.up', 'ratings_up'], ['chart.down', 'ratings_down']]} />
        <Counts title={t('chart.edits')} days={days} series={[['chart.edited', 'edits'], ['chart.picked', 'picks']]} />
        <Counts title={t('chart.accounts')} days={days} series={[['chart.accounts', 'accounts']]} />
        <Counts title={t('chart.failed')} days={days} series={[['chart.failed', 'failed_jobs']]} />
      </Box>
      <Stack direction="row" spacing={2} sx={{ mt: 5, mb: 1, justifyContent: 'space-between', alignItems: 'center' }}>
        <Typography variant="h2">{t('models')}</Typography>
        <Button component={Link} to="/models" variant="outlined">
          {t('lookAfter')}
        </Button>
      </Stack>
      {stats.models.length === 0 ? (
        <Typography color="textSecondary">{t('noModels')}</Typography>
      ) : (
        <Scrolled label={t('models')}>
          <Table sx={{ '& td, & th': { px: { xs: 1.25, sm: 2 } }, '& td, & th:not(:first-of-type)': { textAlign: 'right' }, '& tbody tr:last-of-type > *': { borderBottom: { xs: 0 } }, '& thead th': { borderBottom: '1px solid', borderColor: 'divider', color: 'text.secondary' } }}>
            <TableHead>
              <TableRow>
                {(['model', 'captions', 'up', 'down'] as const).map((each) => (
                  <TableCell key={each}>{t(`table.${each}`)}</TableCell>
                ))}
              </TableRow>
            </TableHead>
            <TableBody>
              {stats.models.map((model) => (
                <TableRow key={model.model}>
                  <TableCell component="th" scope="row">
                    {model.model}
                  </TableCell>
                  <TableCell>{formats.number(model.captions)}</TableCell>
                  <TableCell>{formats.number(model.ratings_up)}</TableCell>
                  <TableCell>{formats.number(model.ratings_down)}</TableCell>
                </TableRow>
              ))}
            </TableBody>
          </Table>
        </Scrolled>
      )}
    </>
  );
}
