import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { skipToken } from '@reduxjs/toolkit/query';
import { useEffect } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useGetSessionQuery } from '@/shared/api/generated';
import { useViewer } from '@/shared/api/viewer';
import { useFormats } from '@/shared/i18n/format';
import { Page } from '@/shared/ui/Page';
import { Failure, QueryView } from '@/shared/ui/StateView';
import { Act, Shares } from './Acts';
import { Arms } from './Arms';
import { useGetRegistryQuery, useListModelVersionsQuery, type ModelVersionOut, type RegistryOut } from './generated';
import { Learning, Moves } from './Learning';
import { CARD, short } from './parts';
import { Versions } from './Versions';

const REFRESH_MS = 5_000;
const REFRESH_VERSIONS_MS = 30_000;

/** Which models caption, how people receive them, and what operators decide about them. For staff. */
export default function ModelsPage() {
  const { t } = useTranslation('models');
  const viewer = useViewer();
  const registry = useGetRegistryQuery(viewer?.isStaff ? {} : skipToken, { pollingInterval: REFRESH_MS });
  return (
    <Page title={t('title')} lead={t('lead')} width="lg">
      {viewer && !viewer.isStaff ? (
        <Failure error={{ status: 403 }} />
      ) : (
        <QueryView query={registry} loading={<Loading />}>
          {(data) => <Models registry={data} />}
        </QueryView>
      )}
    </Page>
  );
}

function Loading() {
  const { t } = useTranslation();
  return (
    <Stack role="status" aria-label={t('state.loading')} spacing={3}>
      <Skeleton variant="rounded" height={220} sx={{ borderRadius: '14px' }} />
      <Skeleton variant="rounded" height={480} sx={{ borderRadius: '14px' }} />
    </Stack>
  );
}

function Models({ registry }: { registry: RegistryOut }) {
  const { t } = useTranslation('models');
  const isAdmin = useGetSessionQuery({}).data?.viewer.role === 'admin';
  const versions = useListModelVersionsQuery({}, { pollingInterval: REFRESH_VERSIONS_MS });
  const { refetch } = versions;
  const known = new Map(versions.data?.items.map((each) => [each.id, each]));
  const unknown = versions.data ? [registry.champion, registry.challenger].filter((id) => id && !known.has(id)).join() : '';
  useEffect(() => {
    if (unknown) void refetch(); // what was pushed since the versions were fetched
  }, [unknown, refetch]);
  const labelOf = (id: string) => known.get(id)?.label ?? (id ? short(id) : t('nothing'));
  return (
    <Stack spacing={5}>
      <Troubles registry={registry} labelOf={labelOf} />
      <Box sx={{ display: 'grid', gap: 2, gridTemplateColumns: { md: '1fr 1fr' } }}>
        <Champion registry={registry} version={known.get(registry.champion)} isAdmin={isAdmin} />
        <Challenger registry={registry} version={known.get(registry.challenger)} isAdmin={isAdmin} labelOf={labelOf} />
      </Box>
      {registry.comparison ? <Arms comparison={registry.comparison} labelOf={labelOf} /> : null}
      <Versions query={versions} registry={registry} isAdmin={isAdmin} labelOf={labelOf} />
      <Learning runs={registry.runs} waiting={registry.waiting} labelOf={labelOf} />
      <Moves moves={registry.moves} labelOf={labelOf} />
    </Stack>
  );
}

interface Labelled {
  registry: RegistryOut;
  labelOf: (id: string) => string;
}

/** What is not as it should be: the registry is away, or a version could not be used. */
function Troubles({ registry, labelOf }: Labelled) {
  const { t } = useTranslation('models');
  const kept = registry.models.filter((each) => each.state !== 'current');
  if (!registry.problem && kept.length === 0) return null;
  return (
    <Stack spacing={1} role="alert">
      {registry.problem ? <Alert severity="error">{t('trouble.problem', { why: registry.problem })}</Alert> : null}
      {kept.map((each) => (
        <Alert key={each.id} severity="warning" sx={{ overflowWrap: 'anywhere' }}>
          {each.state === 'refused'
            ? t(each.label ? 'trouble.refused' : 'trouble.refusedChallenger', { version: labelOf(each.refused), why: each.reason, label: each.label })
            : t('trouble.unreachable', { why: each.reason, label: each.label })}
        </Alert>
      ))}
    </Stack>
  );
}

interface CardProps {
  registry: RegistryOut;
  version: ModelVersionOut | undefined;
  isAdmin: boolean;
}

function Champion({ registry, version, isAdmin }: CardProps) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const served = registry.models.find((each) => each.alias === registry.alias);
  const isLoading = served?.state === 'current' && served.version !== registry.champion && Boolean(registry.champion);
  return (
    <Box component="section" aria-labelledby="champion" sx={CARD}>
      <Typography variant="overline" component="h2" id="champion" color="textSecondary">
        {t('champion')}
      </Typography>
      <Typography variant="h3" component="p" sx={{ overflowWrap: 'anywhere' }}>
        {version?.label ?? served?.label ?? short(registry.champion)}
      </Typography>
      <Typography color="textSecondary" sx={{ overflowWrap: 'anywhere' }}>
        {registry.since ? t('since', { when: formats.dateTime(registry.since) }) : t('fromTheBeginning')}
        {version?.learned ? ` · ${version.learned}` : null}
      </Typography>
      {isLoading ? <Typography role="status">{t('loading')}</Typography> : null}
      {isAdmin && registry.since ? (
        <Stack direction="row" sx={{ mt: 'auto', pt: 2 }}>
          <Act act="rollback" expected={registry.champion} label={version?.label ?? ''} />
        </Stack>
      ) : null}
    </Box>
  );
}

function Challenger({ registry, version, isAdmin, labelOf }: CardProps & Labelled) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const { shares, challenger } = registry;
  const label = labelOf(challenger);
  return (
    <Box component="section" aria-labelledby="challenger" sx={CARD}>
      <Typography variant="overline" component="h2" id="challenger" color="textSecondary">
        {t('challenger')}
      </Typography>
      <Typography variant="h3" component="p" sx={{ overflowWrap: 'anywhere' }}>
        {challenger ? label : t('noChallenger')}
      </Typography>
      {version?.learned ? (
        <Typography color="textSecondary" sx={{ overflowWrap: 'anywhere' }}>
          {version.learned}
        </Typography>
      ) : null}
      <Typography>
        {t('share', { canary: formats.percent(shares.canary_percent / 100), shadow: formats.percent(shares.shadow_percent / 100) })}
      </Typography>
      {shares.since ? (
        <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: 'anywhere' }}>
          {t('shareChanged', { who: shares.by, when: formats.relative(shares.since), why: shares.why })}
        </Typography>
      ) : null}
      {isAdmin ? (
        <Stack direction="row" spacing={1} useFlexGap sx={{ mt: 'auto', pt: 2, flexWrap: 'wrap' }}>
          {challenger ? <Act act="promote" version={challenger} expected={registry.champion} label={label} /> : null}
          <Shares shares={shares} />
          {challenger ? <Act act="stop" expected={challenger} label={label} /> : null}
        </Stack>
      ) : null}
    </Box>
  );
}

