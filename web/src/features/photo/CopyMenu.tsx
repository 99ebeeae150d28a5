import Menu from '@mui/material/Menu';
import MenuItem from '@mui/material/MenuItem';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useNoteFeedbackMutation, type CandidateOut, type ImageOut } from '@/shared/api/generated';
import { announced } from '@/shared/api/live';
import { copyText } from '@/shared/lib/clipboard';
import { toastShown } from '@/shared/ui/toasts';
import { captionAs, type CopyFormat } from './captionAs';

const FORMATS: readonly CopyFormat[] = ['text', 'alt', 'markdown', 'html'];

interface CopyMenuProps {
  image: ImageOut;
  caption: string;
  candidate: CandidateOut | null;
  anchor: HTMLElement;
  onClose: () => void;
}

export default function CopyMenu({ image, caption, candidate, anchor, onClose }: CopyMenuProps) {
  const { t } = useTranslation('photo');
  const dispatch = useDispatch();
  const [note] = useNoteFeedbackMutation();
  // URLs of private files expire soon, so use the file name instead.
  const address = encodeURIComponent(image.file_name || 'photo.jpg');
  const copy = async (format: CopyFormat) => {
    // Alternative text is plain, whatever the voice of the caption.
    const words = format === 'text' ? caption : image.description || caption;
    const text = captionAs(format, words, address);
    const isCopied = await copyText(text);
    onClose();
    if (isCopied) dispatch(announced(t('copy.done')));
    dispatch(toastShown({ tone: isCopied ? 'success' : 'error', text: isCopied ? t('copy.done') : t('copy.failed', { text }) }));
    if (isCopied && candidate) void note({ feedbackIn: { events: [{ kind: 'copy', caption: candidate.id }] } });
  };
  return (
    <Menu anchorEl={anchor} open onClose={onClose} slotProps={{ list: { 'aria-label': t('copy.button') } }}>
      {FORMATS.map((format) => (
        <MenuItem key={format} onClick={() => void copy(format)}>
          {t(`copy.${format}`)}
        </MenuItem>
      ))}
    </Menu>
  );
}
