import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Chip from '@mui/material/Chip';
import Link from '@mui/material/Link';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useId, useState, type ComponentProps } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useFormats } from '@/shared/i18n/format';
import { QueryView } from '@/shared/ui/StateView';
import { Act } from './Acts';
import { useGetModelVersionQuery, type GateOut, type ModelVersionDetailOut, type ModelVersionOut, type ModelVersionsOut, type RegistryOut } from './generated';
import { CARD, Section, short, WideTable } from './parts';

interface VersionsProps {
  query: ComponentProps<typeof QueryView<ModelVersionsOut>>['query'];
  registry: RegistryOut;
  isAdmin: boolean;
  labelOf: (id: string) => string;
}

/** All versions with their lineage; measures, gates and report of each on demand. */
export function Versions({ query, registry, isAdmin, labelOf }: VersionsProps) {
  const { t } = useTranslation('models');
  return (
    <Section title={t('versions.title')} lead={t('versions.lead', { where: registry.where })}>
      <QueryView query={query} loading={<Skeleton variant="rounded" height={320} sx={{ borderRadius: '14px' }} />}>
        {({ items, refused }) => (
          <Stack spacing={2}>
            {refused.map((each) => (
              <Alert key={each.id} severity="error" sx={{ overflowWrap: 'anywhere' }}>
                {t('versions.refused', { version: short(each.id), why: each.why })}
              </Alert>
            ))}
            <Stack component="ul" spacing={2} sx={{ listStyle: 'none', m: 0, p: 0 }}>
              {items.map((version) => (
                <Version key={version.id} version={version} registry={registry} isAdmin={isAdmin} labelOf={labelOf} />
              ))}
            </Stack>
          </Stack>
        )}
      </QueryView>
    </Section>
  );
}

interface VersionProps extends Omit<VersionsProps, 'query'> {
  version: ModelVersionOut;
}

function Version({ version, registry, isAdmin, labelOf }: VersionProps) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const id = useId();
  const [isOpen, setOpen] = useState(false);
  const isChampion = version.id === registry.champion;
  const isChallenger = version.id === registry.challenger;
  const canServe = isAdmin && version.can_be_promoted && !isChampion && !registry.problem;
  return (
    <Box component="li" sx={CARD}>
      <Stack direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap', alignItems: 'center' }}>
        <Typography variant="h3" id={`${id}label`} sx={{ overflowWrap: 'anywhere' }}>
          {version.label}
        </Typography>
        {version.aliases.map((alias) => (
          <Chip key={alias} size="small" label={alias} color={alias === registry.alias ? 'primary' : 'default'} />
        ))}
        <Chip size="small" variant="outlined" color={version.is_built_in || version.gates?.passed ? 'success' : 'warning'} label={verdictOf(version, t)} />
      </Stack>
      <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: 'anywhere' }}>
        <code>{short(version.id)}</code> · {formats.date(version.created)} · {version.licence}
        {version.is_pruned ? ` · ${t('versions.pruned')}` : null}
      </Typography>
      <Typography sx={{ overflowWrap: 'anywhere' }}>
        {version.parents.length > 0 ? t('versions.parents', { parents: version.parents.map(labelOf).join(', ') }) : t('versions.noParents')}
        {version.learned ? ` ${t('versions.learned', { what: version.learned })}` : null}
      </Typography>
      <Stack direction="row" spacing={1} useFlexGap sx={{ flexWrap: 'wrap', mt: 1 }}>
        <Button variant="text" sx={{ ml: -2 }} aria-expanded={isOpen} aria-controls={`${id}more`} aria-label={t(isOpen ? 'versions.lessOf' : 'versions.moreOf', { label: version.label })} onClick={() => setOpen(!isOpen)}>
          {t(isOpen ? 'versions.less' : 'versions.more')}
        </Button>
        {canServe && !isChallenger ? <Act act="challenge" version={version.id} expected={registry.challenger} label={version.label} isRow /> : null}
        {canServe && !isChallenger ? <Act act="promote" version={version.id} expected={registry.champion} label={version.label} isRow /> : null}
      </Stack>
      <div id={`${id}more`} hidden={!isOpen}>
        {isOpen ? <Details id={version.id} /> : null}
      </div>
    </Box>
  );
}

function verdictOf(version: ModelVersionOut, t: (key: string) => string): string {
  if (version.is_built_in) return t('versions.ships');
  if (!version.gates) return t('versions.noGates');
  return t(version.gates.passed ? 'versions.passed' : 'versions.notPassed');
}

function Details({ id }: { id: string }) {
  const query = useGetModelVersionQuery({ version: id });
  return (
    <QueryView query={query} loading={<Skeleton variant="rounded" height={160} />}>
      {(version) => <Facts version={version} />}
    </QueryView>
  );
}

function Facts({ version }: { version: ModelVersionDetailOut }) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const measures = flat(version.metrics);
  return (
    <Stack spacing={2} sx={{ pt: 1 }}>
      {version.gates?.summary ? <Typography sx={{ overflowWrap: 'anywhere' }}>{version.gates.summary}</Typography> : null}
      {version.report.length > 0 ? <Gates gates={version.report} /> : null}
      {version.has_report ? (
        <Link href={`/api/v1/registry/versions/${version.id}/report`} target="_blank" rel="noopener noreferrer" sx={{ alignSelf: 'flex-start' }}>
          {t('versions.report')}
        </Link>
      ) : null}
      {measures.length > 0 ? (
        <WideTable label={t('versions.measures')}>
          <thead>
            <tr>
              <th scope="col">{t('versions.measures')}</th>
              <th scope="col">{t('versions.figure')}</th>
            </tr>
          </thead>
          <tbody>
            {measures.map(([name, value]) => (
              <tr key={name}>
                <th scope="row">{name}</th>
                <td>{typeof value === 'number' ? formats.number(value) : String(value)}</td>
              </tr>
            ))}
          </tbody>
        </WideTable>
      ) : null}
      {version.notes.length > 0 ? (
        <Box component="ul" sx={{ m: 0, pl: 2.5 }} aria-label={t('versions.notes')}>
          {version.notes.map((note) => (
            <Typography component="li" key={`${note.at}${note.why}`} sx={{ overflowWrap: 'anywhere' }}>
              {note.why}{' '}
              <Typography component="span" variant="body2" color="textSecondary">
                {note.by}, {formats.dateTime(note.at)}
              </Typography>
            </Typography>
          ))}
        </Box>
      ) : null}
      <Typography variant="body2" color="textSecondary" sx={{ overflowWrap: 'anywhere' }}>
        {t('versions.content', { id: version.id, data: version.data || '–', size: formats.bytes(version.bytes) })}
      </Typography>
    </Stack>
  );
}

function Gates({ gates }: { gates: GateOut[] }) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const figure = (value: number | null | undefined) => (typeof value === 'number' ? formats.number(value) : '–');
  return (
    <WideTable label={t('gates.title')} lastColumn={200}>
      <thead>
        <tr>
          {(['gate', 'verdict', 'figure', 'interval', 'threshold'] as const).map((each) => (
            <th key={each} scope="col">
              {t(`gates.${each}`)}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {gates.map((gate) => (
          <tr key={gate.name}>
            <th scope="row">{gate.name}</th>
            <td>{gate.passed ? t('gates.passed') : <strong>{t('gates.notPassed')}</strong>}</td>
            <td>{figure(gate.figure)}</td>
            <Box component="td" sx={{ whiteSpace: 'nowrap' }}>
              {typeof gate.low === 'number' && typeof gate.high === 'number' ? t('gates.between', { low: figure(gate.low), high: figure(gate.high) }) : '–'}
            </Box>
            <td>{[gate.threshold, gate.detail].filter(Boolean).join('; ')}</td>
          </tr>
        ))}
      </tbody>
    </WideTable>
  );
}

/** Free measures as lines: {dev: {cider: 1}} is "dev.cider". */
function flat(value: unknown, path = ''): [string, unknown][] {
  if (typeof value !== 'object' || value === null) return [[path, value]];
  return Object.entries(value).flatMap(([name, inner]) => flat(inner, path ? `${path}.${name}` : name));
}
