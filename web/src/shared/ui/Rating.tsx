import ThumbDownFilled from '@mui/icons-material/ThumbDown';
import ThumbDown from '@mui/icons-material/ThumbDownOutlined';
import ThumbUpFilled from '@mui/icons-material/ThumbUp';
import ThumbUp from '@mui/icons-material/ThumbUpOutlined';
import IconButton from '@mui/material/IconButton';
import Stack from '@mui/material/Stack';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useRateCaptionMutation, useUnrateCaptionMutation, type CandidateOut } from '../api/generated';
import { problemOf } from '../api/problem';
import { useOnce } from '../lib/useOnce';
import { toastShown } from './toasts';

const THUMBS = [
  { value: 1, label: 'rate.up', Icon: ThumbUp, Pressed: ThumbUpFilled },
  { value: -1, label: 'rate.down', Icon: ThumbDown, Pressed: ThumbDownFilled },
] as const;

export function Rating({ candidate }: { candidate: CandidateOut }) {
  const { t } = useTranslation('photo');
  const dispatch = useDispatch();
  const [rate] = useRateCaptionMutation();
  const [unrate] = useUnrateCaptionMutation();
  const press = useOnce(async (value: 1 | -1) => {
    const result =
      candidate.rating === value
        ? await unrate({ captionId: candidate.id })
        : await rate({ captionId: candidate.id, ratingIn: { value } });
    if (result.error) dispatch(toastShown({ tone: 'error', text: problemOf(result.error).detail || t('rate.failed') }));
  });
  return (
    <Stack direction="row" role="group" aria-label={t('rate.label')}>
      {THUMBS.map(({ value, label, Icon, Pressed }) => (
        <IconButton
          key={value}
          aria-label={t(label)}
          aria-pressed={candidate.rating === value}
          color={candidate.rating === value ? 'primary' : 'default'}
          onClick={() => press(value)}
        >
          {candidate.rating === value ? <Pressed fontSize="small" /> : <Icon fontSize="small" />}
        </IconButton>
      ))}
    </Stack>
  );
}
