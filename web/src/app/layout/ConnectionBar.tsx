import Box from '@mui/material/Box';
import { useEffect, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';

/** A notice shown while the device is offline. */
export function ConnectionBar() {
  const { t } = useTranslation();
  const [isOnline, setOnline] = useState(() => navigator.onLine !== false);
  useEffect(() => {
    const update = () => setOnline(navigator.onLine);
    addEventListener('online', update);
    addEventListener('offline', update);
    return () => {
      removeEventListener('online', update);
      removeEventListener('offline', update);
    };
  }, []);
  if (isOnline) return null;
  return (
    <Box
      role="status"
      sx={{ position: 'sticky', top: 0, zIndex: 'appBar', bgcolor: 'warning.main', color: 'warning.contrastText', px: 2, py: 1, textAlign: 'center' }}
    >
      {t('connection.offline')}
    </Box>
  );
}
