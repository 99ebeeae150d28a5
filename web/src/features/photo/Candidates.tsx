import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { usePickCaptionMutation, type AttentionOut, type CandidateOut, type ImageOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { problemOf } from '@/shared/api/problem';
import { useCaptionLanguage } from '@/shared/api/viewer';
import { useFormats } from '@/shared/i18n/format';
import { useOnce } from '@/shared/lib/useOnce';
import { toastShown } from '@/shared/ui/toasts';
import { isUnsure } from './unsure';
import { Words } from './Words';

interface CandidatesProps {
  image: ImageOut;
  candidates: CandidateOut[];
  attention: AttentionOut | null; // of the inspected candidate, unless it is the current caption
  looked: string | null;
  onLook: (id: string) => void;
  word: number | null;
  onWord: (word: number | null) => void;
}

/** The model's candidates, best first, with its confidence; where it says none, with that of a word on average. */
export function Candidates({ image, candidates, attention, looked, onLook, word, onWord }: CandidatesProps) {
  const { t } = useTranslation('photo');
  const language = useCaptionLanguage()();
  const formats = useFormats();
  const dispatch = useDispatch();
  const [pick] = usePickCaptionMutation();
  const choose = useOnce(async (candidate: CandidateOut) => {
    const result = await pick({ imageId: image.id, captionId: candidate.id });
    if (result.error) dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('pick.failed') }));
    else dispatch(announced(t('pick.done')));
  });
  const scoreOf = (candidate: CandidateOut): string => {
    if (typeof candidate.confidence === 'number') {
      return t(isUnsure(candidate) ? 'notSure' : 'confidence', { score: formats.percent(candidate.confidence) });
    }
    return candidate.log_prob === null ? '' : t('score', { score: formats.percent(perWord(candidate)) });
  };
  // Visitors need not see a single candidate that is already shown as the caption.
  const isShownAbove = !image.mine && candidates.length === 1 && candidates[0]?.shown;
  if (candidates.length === 0 || isShownAbove) return null;
  return (
    <Box component="section" aria-labelledby="candidates">
      <Typography variant="h3" component="h2" id="candidates" gutterBottom>
        {t('candidates')}
      </Typography>
      <Stack component="ol" spacing={1} sx={{ listStyle: 'none', p: 0, m: 0 }}>
        {candidates.map((candidate) => {
          const isInspected = candidate.id === looked && attention !== null;
          return (
            <Box
              component="li"
              key={candidate.id}
              sx={{
                border: 1,
                borderColor: candidate.shown ? 'primary.main' : 'divider',
                borderRadius: '14px',
                bgcolor: 'background.paper',
                p: 1.5,
              }}
            >
              <Typography lang={language} sx={{ fontFamily: 'h3.fontFamily', fontSize: '1.05rem' }}>
                {isInspected ? <Words text={candidate.text} attention={attention} word={word} onWord={onWord} /> : candidate.text}
              </Typography>
              <Stack direction="row" spacing={1} useFlexGap sx={{ mt: 0.5, alignItems: 'center', flexWrap: 'wrap', '& > button': { flexShrink: 1, whiteSpace: 'normal' }, '& > button:first-of-type': { ml: { xs: -1.5, sm: 0 } }, '& > button:last-of-type': { mr: -1.5 } }}>
                <Typography variant="body2" color="textSecondary" sx={{ flex: { xs: '1 0 100%', sm: '1 1 0' }, minWidth: 120 }}>
                  {scoreOf(candidate)}
                </Typography>
                {candidate.shown ? (
                  <Typography variant="body2" color="primary" sx={{ fontWeight: 600, py: 1 }}>
                    {t('shown')}
                  </Typography>
                ) : (
                  <>
                    {candidate.has_attention && !isInspected ? (
                      <Button size="small" color="inherit" onClick={() => onLook(candidate.id)}>
                        {t('look')}
                      </Button>
                    ) : null}
                    {image.mine ? (
                      <Button size="small" onClick={() => choose(candidate)}>
                        {t('pick.button')}
                      </Button>
                    ) : null}
                  </>
                )}
              </Stack>
            </Box>
          );
        })}
      </Stack>
    </Box>
  );
}

/** The geometric mean of the probabilities of a candidate's words, including the end token. */
function perWord(candidate: CandidateOut): number {
  return Math.exp((candidate.log_prob ?? 0) / (candidate.text.split(/\s+/).length + 1));
}
