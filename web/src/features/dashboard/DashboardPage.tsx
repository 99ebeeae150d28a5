import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import Table from '@mui/material/Table';
import TableBody from '@mui/material/TableBody';
import TableCell from '@mui/material/TableCell';
import TableHead from '@mui/material/TableHead';
import TableRow from '@mui/material/TableRow';
import Typography from '@mui/material/Typography';
import { skipToken } from '@reduxjs/toolkit/query';
import { useTranslation } from 'react-i18next';
import { useGetStatsQuery, type StatsOut } from '@/shared/api/generated';
import { useFormats } from '@/shared/i18n/format';
import { useViewer } from '@/shared/api/viewer';
import { Page } from '@/shared/ui/Page';
import { Failure, QueryView } from '@/shared/ui/StateView';
import { Chart } from './Chart';

const REFRESH_MS = 30_000;

/** How the service fares, for its staff. */
export default function DashboardPage() {
  const { t } = useTranslation('dashboard');
  const viewer = useViewer();
  const stats = useGetStatsQuery(viewer?.isStaff ? { days: 30 } : skipToken, { pollingInterval: REFRESH_MS });
  return (
    <Page title={t('title')} lead={t('lead')} width="xl">
      {viewer && !viewer.isStaff ? (
        <Failure error={{ status: 403 }} />
      ) : (
        <QueryView query={stats} loading={<Skeleton variant="rounded" height={640} />}>
          {(data) => <Dashboard stats={data} />}
        </QueryView>
      )}
    </Page>
  );
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
    [t('number.oldest'), queue.oldest_s === null ? '–' : t('seconds', { count: Math.round(queue.oldest_s) })],
    [t('number.held'), stats.held_images],
    [t('number.reports'), stats.open_reports],
  ];
  const labels = days.map((day) => day.date);
  return (
    <>
      <Box component="dl" sx={{ display: 'grid', gap: 2, gridTemplateColumns: 'repeat(auto-fill, minmax(150px, 1fr))', m: 0, mb: 4 }}>
        {numbers.map(([label, value]) => (
          <Box key={label} sx={{ border: 1, borderColor: 'divider', borderRadius: '14px', p: 2, bgcolor: 'background.paper' }}>
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
        <Chart title={t('chart.uploads')} labels={labels} series={[{ name: t('chart.uploads'), values: days.map((day) => day.uploads) }]} />
        <Chart
          title={t('chart.ratings')}
          labels={labels}
          series={[
            { name: t('chart.up'), values: days.map((day) => day.ratings_up) },
            { name: t('chart.down'), values: days.map((day) => day.ratings_down) },
          ]}
        />
        <Chart
          title={t('chart.edits')}
          labels={labels}
          series={[
            { name: t('chart.edited'), values: days.map((day) => day.edits) },
            { name: t('chart.picked'), values: days.map((day) => day.picks) },
          ]}
        />
        <Chart title={t('chart.failed')} labels={labels} series={[{ name: t('chart.failed'), values: days.map((day) => day.failed_jobs) }]} />
      </Box>
      <Typography variant="h2" sx={{ mt: 5, mb: 1 }}>
        {t('models')}
      </Typography>
      <Box sx={{ overflowX: 'auto' }}>
        <Table size="small">
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
      </Box>
    </>
  );
}
