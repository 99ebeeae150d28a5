import Close from '@mui/icons-material/Close';
import Box from '@mui/material/Box';
import Dialog from '@mui/material/Dialog';
import DialogContent from '@mui/material/DialogContent';
import DialogTitle from '@mui/material/DialogTitle';
import IconButton from '@mui/material/IconButton';
import useMediaQuery from '@mui/material/useMediaQuery';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '../api/generated';
import { photoSources } from '../lib/sources';
import { Photo } from '../ui/Photo';
import { AlternativeText } from './AlternativeText';
import VoicePanel from './VoicePanel';

interface VoiceDialogProps {
  image: ImageOut;
  caption: string;
  onClose: () => void;
}

/** The voices of a photo that is one of many. */
export default function VoiceDialog({ image, caption, onClose }: VoiceDialogProps) {
  const { t } = useTranslation('voice');
  const isPhone = useMediaQuery('(max-width: 640px)', { noSsr: true });
  const sources = photoSources(image.urls, 'thumbnail');
  return (
    <Dialog open onClose={onClose} aria-labelledby="voice-title" fullWidth fullScreen={isPhone} maxWidth="md">
      <DialogTitle component="div" sx={{ display: 'flex', alignItems: 'center', gap: 2, pr: 1.5 }}>
        {sources ? (
          <Box sx={{ width: 72, flexShrink: 0, borderRadius: '8px', overflow: 'hidden' }}>
            <Photo eager sources={sources} alt={image.description || caption} width={4} height={3} placeholder={image.placeholder} />
          </Box>
        ) : null}
        <Box component="h2" id="voice-title" sx={{ flex: 1, m: 0, font: 'inherit' }}>
          {t('title')}
        </Box>
        <IconButton aria-label={t('close')} onClick={onClose}>
          <Close />
        </IconButton>
      </DialogTitle>
      <Box sx={{ px: 3, pb: 2 }}>
        <AlternativeText image={image} caption={caption} />
      </Box>
      <DialogContent dividers>
        <VoicePanel image={image} caption={caption} isDescribed />
      </DialogContent>
    </Dialog>
  );
}
