import BrokenImage from '@mui/icons-material/BrokenImageOutlined';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import type { ReactNode } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link } from '@/shared/lib/router';

export interface CardStatus {
  // The current step, its label, and its progress (null: unknown).
  kind: 'waiting' | 'sending' | 'queued' | 'running' | 'done' | 'failed';
  text: string;
  progress: number | null;
  hint?: string;
}

interface PhotoCardProps {
  picture: ReactNode;
  name: string;
  caption: string | null;
  language?: string; // of the caption
  status: CardStatus;
  to: string | null;
  children?: ReactNode; // what is open above it
  onCopy?: () => void;
  onVoice?: () => void;
  onRetry?: () => void;
  onRemove?: () => void;
}

/** A photo and its caption, from upload on. Fixed height, so that nothing shifts. */
export function PhotoCard({ picture, name, caption, language, status, to, children, onCopy, onVoice, onRetry, onRemove }: PhotoCardProps) {
  const { t } = useTranslation('caption');
  const isBusy = status.kind !== 'done' && status.kind !== 'failed';
  return (
    <Box
      component="li"
      sx={{
        display: 'flex',
        flexDirection: 'column',
        bgcolor: 'background.paper',
        border: 1,
        borderColor: status.kind === 'failed' ? 'error.main' : 'divider',
        borderRadius: '14px',
        overflow: 'hidden',
      }}
    >
      <Box sx={{ position: 'relative', aspectRatio: '4 / 3', bgcolor: 'action.hover', display: 'grid', placeItems: 'center' }}>
        {/* Behind the picture: visible if the browser cannot show it. */}
        {status.kind === 'failed' ? <BrokenImage aria-hidden sx={{ fontSize: 56, color: 'text.secondary', opacity: 0.5 }} /> : null}
        {to ? (
          <Link to={to} aria-label={caption || name} lang={language} style={{ position: 'absolute', inset: 0 }}>
            {picture}
          </Link>
        ) : (
          picture
        )}
      </Box>
      <Stack sx={{ p: 2, pb: 1, flex: 1, minHeight: 140 }} spacing={1} useFlexGap>
        {caption ? (
          <Typography lang={language} sx={{ typography: 'h3', fontWeight: 450, fontSize: '1.15rem' }}>
            {caption}
          </Typography>
        ) : (
          <Typography noWrap color="textSecondary" title={name}>
            {name}
          </Typography>
        )}
        {status.kind === 'done' ? null : (
          <Typography variant="body2" color={status.kind === 'failed' ? 'error' : 'text.secondary'}>
            {status.text}
            {status.hint ? ` ${status.hint}` : ''}
          </Typography>
        )}
        <Box sx={{ flex: 1 }} />
        {isBusy ? (
          <Box
            component="progress"
            aria-label={status.text}
            {...(status.progress === null ? {} : { value: status.progress })}
            sx={{ width: '100%', height: 6, accentColor: 'var(--mui-palette-primary-main)' }}
          />
        ) : null}
        <Stack direction="row" spacing={1} sx={{ minHeight: 40, ml: onRetry ? 0 : -1.5 }}>
          {onCopy ? (
            <Button size="small" onClick={onCopy}>
              {t('card.copy')}
            </Button>
          ) : null}
          {onVoice ? (
            <Button size="small" aria-haspopup="dialog" onClick={onVoice}>
              {t('card.voice')}
            </Button>
          ) : null}
          {to && status.kind === 'done' ? (
            <Button size="small" component={Link} to={to}>
              {t('card.open')}
            </Button>
          ) : null}
          {onRetry ? (
            <Button size="small" variant="outlined" onClick={onRetry}>
              {t('card.retry')}
            </Button>
          ) : null}
          {onRemove ? (
            <Button size="small" color="inherit" onClick={onRemove}>
              {t('card.remove')}
            </Button>
          ) : null}
        </Stack>
      </Stack>
      {children}
    </Box>
  );
}
