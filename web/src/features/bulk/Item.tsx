import Box from '@mui/material/Box';
import Link from '@mui/material/Link';
import Stack from '@mui/material/Stack';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { Link as RouterLink } from '@/shared/lib/router';
import type { BulkItemOut } from '@/shared/api/generated';
import { useCaptionLanguage } from '@/shared/api/viewer';

/** A file of a bulk job: its caption, linked to its photo, or why it has none. */
export function Item({ item, voiceLanguage }: { item: BulkItemOut; voiceLanguage?: string }) {
  const { t } = useTranslation('bulk');
  const language = useCaptionLanguage()();
  const words = (
    <>
      <Typography component="span" variant="body2" color="textSecondary" sx={{ display: 'block' }}>
        {item.file}
      </Typography>
      {item.caption ? (
        <Typography component="span" variant="h3" lang={language} sx={{ display: 'block' }}>
          {item.caption}
        </Typography>
      ) : null}
      {item.styled.map((text) => (
        <Typography key={text} component="span" lang={voiceLanguage} sx={{ display: 'block', fontStyle: 'italic' }}>
          {text}
        </Typography>
      ))}
    </>
  );
  return (
    <>
      <Stack direction="row" spacing={2} sx={{ justifyContent: 'space-between' }}>
        <Box sx={{ overflowWrap: 'anywhere', minWidth: 0 }}>
          {item.image ? (
            <Link component={RouterLink} to={`/images/${item.image}`} color="inherit" underline="hover" sx={{ display: 'block' }}>
              {words}
            </Link>
          ) : (
            words
          )}
        </Box>
        <Typography variant="body2" color={item.state === 'failed' ? 'error' : 'textSecondary'} sx={{ flexShrink: 0 }}>
          {t(`item.${item.state}`)}
        </Typography>
      </Stack>
      {item.styled_error ? (
        <Typography variant="body2" color="error">
          {t(`styledError.${item.styled_error.code}`, { defaultValue: item.styled_error.message })}
        </Typography>
      ) : null}
      {item.error ? (
        <Typography variant="body2" color={item.state === 'failed' ? 'error' : 'textSecondary'}>
          {item.error.message}
        </Typography>
      ) : item.state === 'done' && !item.image ? (
        <Typography variant="body2" color="textSecondary">
          {t('deleted')}
        </Typography>
      ) : null}
    </>
  );
}
