import Alert from '@mui/material/Alert';
import Box from '@mui/material/Box';
import Button from '@mui/material/Button';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { announced } from '@/shared/api/live';
import { copyText } from '@/shared/lib/clipboard';

/** A secret that is shown only once. */
export function Secret({ label, value }: { label: string; value: string }) {
  const { t } = useTranslation(['account', 'common']);
  const dispatch = useDispatch();
  return (
    <Alert
      severity="success"
      role="status"
      sx={{ mb: 2 }}
      action={
        <Button
          color="inherit"
          size="small"
          onClick={() => void copyText(value).then((isCopied) => isCopied && dispatch(announced(t('common:action.copied'))))}
        >
          {t('common:action.copy')}
        </Button>
      }
    >
      {label}
      <Box component="code" sx={{ display: 'block', overflowWrap: 'anywhere', mt: 0.5 }}>
        {value}
      </Box>
    </Alert>
  );
}
