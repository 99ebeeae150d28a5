import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useFormats } from '@/shared/i18n/format';
import type { ComparisonOut, MeasureOut } from './generated';
import { Section, WideTable } from './parts';

interface ArmsProps {
  comparison: ComparisonOut;
  labelOf: (id: string) => string;
}

/** The captions of champion and challenger, side by side, and what the sequential test says. */
export function Arms({ comparison, labelOf }: ArmsProps) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const { champion, challenger, shadow } = comparison;
  const measured = new Map(champion.measures.map((each) => [each.name, each]));
  const evidence = Math.max(comparison.evidence, comparison.failure_evidence);
  return (
    <Section title={t('arms.title')} lead={t('arms.lead', { when: formats.dateTime(comparison.since) })}>
      <WideTable label={t('arms.table')}>
        <thead>
          <tr>
            <th scope="col">{t('arms.measure')}</th>
            <Heading role={t('champion')} label={labelOf(champion.version)} />
            <Heading role={t('challenger')} label={labelOf(challenger.version)} />
          </tr>
        </thead>
        <tbody>
          <tr>
            <th scope="row">{t('arms.captions')}</th>
            {[champion, challenger].map((arm) => (
              <td key={arm.version}>{t('arms.of', { captions: formats.number(arm.captions), owners: formats.number(arm.owners) })}</td>
            ))}
          </tr>
          {challenger.measures.map((measure) => (
            <tr key={measure.name}>
              <th scope="row">{t(`measure.${measure.name}`)}</th>
              <td>
                <Figure measure={measured.get(measure.name)} />
              </td>
              <td>
                <Figure measure={measure} />
              </td>
            </tr>
          ))}
        </tbody>
      </WideTable>
      <Alert severity={comparison.is_worse ? 'error' : 'info'} sx={{ mt: 2 }}>
        {t('arms.evidence', { evidence: formats.number(Math.round(evidence * 10) / 10), limit: formats.number(comparison.stops_at) })}
      </Alert>
      {comparison.shadow_photos > 0 ? (
        <>
          <Typography variant="h3" sx={{ mt: 4, mb: 1 }}>
            {t('shadow.title')}
          </Typography>
          <Typography color="textSecondary" sx={{ mb: 2 }}>
            {t('shadow.lead', { number: formats.number(comparison.shadow_photos) })}
          </Typography>
          <WideTable label={t('shadow.title')}>
            <tbody>
              {shadow.map((measure) => (
                <tr key={measure.name}>
                  <th scope="row">{t(`shadow.${measure.name}`)}</th>
                  <td>
                    <Figure measure={measure} />
                  </td>
                </tr>
              ))}
            </tbody>
          </WideTable>
        </>
      ) : null}
    </Section>
  );
}

/** Whose column it is; a phone has no room for the version, which stands above. */
function Heading({ role, label }: { role: string; label: string }) {
  return (
    <th scope="col">
      {role}
      <Box component="span" sx={{ display: { xs: 'none', sm: 'inline' } }}>
        : {label}
      </Box>
    </th>
  );
}

/** A figure with its interval. */
function Figure({ measure }: { measure: MeasureOut | undefined }) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  if (measure?.value === null || measure?.value === undefined) return <>–</>;
  const format = measure.is_share ? formats.percent : formats.seconds;
  const { low, high } = measure;
  if (typeof low !== 'number' || typeof high !== 'number') return <>{format(measure.value)}</>;
  return (
    <>
      {format(measure.value)}{' '}
      <Typography component="span" variant="body2" color="textSecondary" sx={{ whiteSpace: { xs: 'normal', sm: 'nowrap' } }}>
        {t('interval', { low: format(low), high: format(high) })}
      </Typography>
    </>
  );
}
