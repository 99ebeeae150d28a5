import Box from '@mui/material/Box';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useFormats } from '@/shared/i18n/format';
import type { MoveOut, RunOut, WaitingOut } from './generated';
import { CARD, Section } from './parts';

const LIST = { listStyle: 'none', m: 0, p: 0 } as const;
const ROW = { borderTop: 1, borderColor: 'divider', py: 1.5, overflowWrap: 'anywhere' } as const;

interface LearningProps {
  runs: RunOut[];
  waiting: WaitingOut;
  labelOf: (id: string) => string;
}

/** How much feedback waits, and what the learner's last runs came to. */
export function Learning({ runs, waiting, labelOf }: LearningProps) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  const numbers = [
    [t('learning.edits'), waiting.edits],
    [t('learning.picks'), waiting.picks],
    [t('learning.ratings'), waiting.ratings],
    [t('learning.consenting'), waiting.consenting],
  ] as const;
  return (
    <Section title={t('learning.title')} lead={waiting.since ? t('learning.leadSince', { when: formats.dateTime(waiting.since) }) : t('learning.lead')}>
      <Box component="dl" sx={{ display: 'grid', gap: 2, gridTemplateColumns: { xs: '1fr 1fr', sm: 'repeat(4, 1fr)' }, m: 0 }}>
        {numbers.map(([label, value]) => (
          <Box key={label} sx={CARD}>
            <Typography component="dt" variant="body2" color="textSecondary">
              {label}
            </Typography>
            <Typography component="dd" variant="h2" sx={{ m: 0 }}>
              {formats.number(value)}
            </Typography>
          </Box>
        ))}
      </Box>
      {typeof waiting.enough === 'number' ? <Typography sx={{ mt: 2 }}>{t('learning.enough', { number: formats.number(waiting.enough) })}</Typography> : null}
      <Typography variant="h3" sx={{ mt: 4, mb: 1 }}>
        {t('runs.title')}
      </Typography>
      {runs.length === 0 ? <Typography color="textSecondary">{t('runs.none')}</Typography> : null}
      <Stack component="ol" sx={LIST}>
        {runs.map((run) => (
          <Box component="li" key={`${run.at}${run.why}`} sx={ROW}>
            <Typography>
              <strong>{t(`runs.${run.ending.replace(' ', '_')}`)}</strong>
              {run.version ? `: ${labelOf(run.version)}` : null}
            </Typography>
            <Typography>{run.why}</Typography>
            <Typography variant="body2" color="textSecondary">
              {formats.dateTime(run.at)}
              {typeof run.captions === 'number' ? ` · ${t('runs.captions', { number: formats.number(run.captions) })}` : null}
            </Typography>
          </Box>
        ))}
      </Stack>
    </Section>
  );
}

/** Who decided what, when and why; the newest first. */
export function Moves({ moves, labelOf }: { moves: MoveOut[]; labelOf: (id: string) => string }) {
  const { t } = useTranslation('models');
  const formats = useFormats();
  return (
    <Section title={t('moves.title')}>
      {moves.length === 0 ? <Typography color="textSecondary">{t('moves.none')}</Typography> : null}
      <Stack component="ol" sx={LIST}>
        {moves.map((move) => (
          <Box component="li" key={`${move.alias}${move.at}`} sx={ROW}>
            <Typography>
              <strong>{t(`moves.${move.action}`, { alias: move.alias, version: labelOf(move.version), previous: labelOf(move.previous) })}</strong>
              {move.overrides_gates ? ` ${t('moves.overrides')}` : null}
            </Typography>
            <Typography>{move.why}</Typography>
            <Typography variant="body2" color="textSecondary">
              {move.by}, {formats.dateTime(move.at)}
            </Typography>
          </Box>
        ))}
      </Stack>
    </Section>
  );
}
