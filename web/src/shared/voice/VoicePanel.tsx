import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Skeleton from '@mui/material/Skeleton';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useCallback, useEffect, useRef, useState, type FormEvent, type ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '../api/generated';
import { useCaptionLanguage } from '../api/viewer';
import { useOnce } from '../lib/useOnce';
import { visuallyHidden } from '../ui/Page';
import { QueryView } from '../ui/StateView';
import { useAboutStylesQuery, useListVoicesQuery, type StylesHereOut, type VoicesOut } from './generated';
import { Presets } from './Presets';
import { AlternativeText } from './AlternativeText';
import type { Batch, Trouble } from './styling';
import { useStyling } from './useStyling';
import { VariantCard } from './VariantCard';
import { FIRST_VOICE, voiceOf, type StyledOut, type Voice } from './voice';
import { VoiceForm } from './VoiceForm';

interface VoicePanelProps {
  image: ImageOut;
  caption: string; // as shown now
  isDescribed?: boolean; // the alternative text is in sight already
}

/** Captions of a photo in a voice: choose it, watch them being written, take one. */
export default function VoicePanel({ image, caption, isDescribed = false }: VoicePanelProps) {
  const { t } = useTranslation('voice');
  const about = useAboutStylesQuery({});
  const voices = useListVoicesQuery({});
  const alternative = isDescribed ? null : <AlternativeText image={image} caption={caption} />;
  return (
    <Stack spacing={3}>
      <Typography color="textSecondary">{t('lead')}</Typography>
      <QueryView query={about} loading={<Skeleton variant="rounded" height={360} />}>
        {(limits) =>
          limits.available ? (
            <QueryView query={voices} loading={<Skeleton variant="rounded" height={360} />}>
              {(found) => <Studio image={image} caption={caption} limits={limits} voices={found} alternative={alternative} />}
            </QueryView>
          ) : (
            <>
              <Missing reason={limits.reason} />
              {alternative}
            </>
          )
        }
      </QueryView>
    </Stack>
  );
}

function Missing({ reason }: { reason: string }) {
  const { t } = useTranslation('voice');
  return (
    <Alert severity="info" sx={{ '& code': { overflowWrap: 'anywhere' } }}>
      <Typography sx={{ fontWeight: 600 }}>{t('missing.title')}</Typography>
      {t(`missing.${reason}`, { defaultValue: t('missing.missing') })} {t('missing.hint')
        .split(/<code>(.*?)<\/code>/)
        .map((part, place) => (place % 2 ? <code key={part}>{part}</code> : part))}
    </Alert>
  );
}

interface StudioProps extends Pick<VoicePanelProps, 'image' | 'caption'> {
  limits: StylesHereOut;
  voices: VoicesOut;
  alternative: ReactNode; // beside what is written
}

function Studio({ image, caption, limits, voices, alternative }: StudioProps) {
  const { t } = useTranslation('voice');
  const language = useCaptionLanguage()();
  const [voice, setVoice] = useState<Voice>(voices.last ? voiceOf(voices.last) : FIRST_VOICE);
  const { styling, isBusy, isLive, isSlow, ask, stop, tryAgain } = useStyling(image.id);
  const { log, say } = useLog();
  const press = useOnce(() => (isBusy ? stop() : ask(voice)));
  const submit = (event: FormEvent) => {
    event.preventDefault();
    press();
  };
  const variants = styling.flatMap((batch) => batch.variants.map((variant, number) => ({ variant, key: `${batch.id}-${number}`, batch })));
  useSayFinished(styling, say);
  return (
    <>
      <Presets voices={voices} voice={voice} onChoose={setVoice} onSay={say} />
      <Stack component="form" spacing={2.5} onSubmit={submit} noValidate>
        <VoiceForm voice={voice} limits={limits} suggestions={voices.tones} onChange={setVoice} />
        {/* One button for both, so that it keeps the focus. */}
        <Button type="submit" variant={isBusy ? 'outlined' : 'contained'} sx={{ alignSelf: 'flex-start', minWidth: 190 }}>
          {t(isBusy ? 'stop' : 'write')}
        </Button>
      </Stack>
      {alternative}
      {styling.length > 0 ? (
        <Box component="section" aria-label={t('results')}>
          <State styling={styling} isLive={isLive} isSlow={isSlow} />
          <Stack component="ol" spacing={1} sx={{ listStyle: 'none', p: 0, m: 0 }}>
            {variants.map(({ variant, key, batch }, place) =>
              isWorthShowing(batch, variant.isWhole && variant.text !== '') ? (
                <VariantCard
                  key={key}
                  imageId={image.id}
                  number={place + 1}
                  variant={variant}
                  current={caption}
                  language={language}
                  isBusy={isBusy}
                  isSettled={batch.phase !== 'asking' && batch.phase !== 'writing'}
                  onLike={(like) => void ask(null, like)}
                  onSay={say}
                />
              ) : null,
            )}
          </Stack>
          {styling.map(({ id, job, phase, trouble }) =>
            phase === 'failed' ? <Failed key={id} trouble={trouble} onRetry={job ? () => void tryAgain(job) : () => void ask(voice)} /> : null,
          )}
        </Box>
      ) : null}
      <Box role="log" aria-live="polite" sx={visuallyHidden}>
        {log.map(({ id, text }) => (
          <p key={id}>{text}</p>
        ))}
      </Box>
    </>
  );
}

/** Of what failed or was stopped, only finished captions are shown. */
function isWorthShowing({ phase }: Batch<StyledOut>, isFinished: boolean): boolean {
  return isFinished || (phase !== 'failed' && phase !== 'stopped');
}

const MOST_SAID = 20;

/** What is said to screen readers, one after the other: none is lost where several come at once. */
function useLog() {
  const [log, setLog] = useState<{ id: number; text: string }[]>([]);
  const say = useCallback((text: string) => setLog((said) => [...said, { id: (said.at(-1)?.id ?? 0) + 1, text }].slice(-MOST_SAID)), []);
  return { log, say };
}

/** Say each caption once, when it is finished. */
function useSayFinished(styling: readonly Batch<StyledOut>[], say: (text: string) => void): void {
  const { t } = useTranslation('voice');
  const said = useRef(new Set<string>());
  useEffect(() => {
    let place = 0;
    for (const { job, phase, variants } of styling) {
      for (const [number, { text, isWhole }] of variants.entries()) {
        place += 1;
        const key = `${job}-${number}`;
        if (!isWhole || !text || said.current.has(key)) continue;
        said.current.add(key);
        say(`${t('number', { number: place })}: ${text}`);
      }
      if (phase === 'stopped' && job && !said.current.has(job)) {
        said.current.add(job);
        say(t('state.stopped'));
      }
    }
  }, [styling, say, t]);
}

/** What is going on, in one line that is always there. */
function State({ styling, isLive, isSlow }: { styling: readonly Batch<StyledOut>[]; isLive: boolean; isSlow: boolean }) {
  const { t } = useTranslation('voice');
  const phase = styling.at(-1)?.phase ?? 'done';
  const isWriting = phase === 'writing' || phase === 'asking';
  const isBegun = styling.at(-1)?.variants.some(({ text }) => text !== '');
  const text = isWriting
    ? t(!isLive ? 'state.offline' : isSlow ? 'state.slow' : isBegun ? 'state.writing' : 'state.waiting')
    : phase === 'stopped'
      ? t('state.stopped')
      : '';
  return (
    <Typography variant="body2" color="textSecondary" sx={{ minHeight: '1.43em', mb: 1 }}>
      {text}
    </Typography>
  );
}

function Failed({ trouble, onRetry }: { trouble: Trouble | null; onRetry: () => void }) {
  const { t } = useTranslation('voice');
  const code = trouble?.code === 'timeout' ? 'offline' : trouble?.code;
  return (
    <Alert
      severity="error"
      role="alert"
      sx={{ mt: 1, flexWrap: { xs: 'wrap', sm: 'nowrap' }, '& .MuiAlert-message': { flex: '1 1 200px' } }}
      action={
        <Button color="inherit" size="small" onClick={onRetry}>
          {t('retry')}
        </Button>
      }
    >
      {t(`failed.${code}`, { defaultValue: trouble?.message || t('failed.other') })}
    </Alert>
  );
}
