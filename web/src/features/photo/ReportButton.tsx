import Button from '@mui/material/Button';
import { Suspense, useState } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import type { ImageOut } from '@/shared/api/generated';
import { ReportDialog } from '@/shared/ui/Report';

export function ReportButton({ image, token }: { image: ImageOut; token?: string }) {
  const { t } = useTranslation('photo');
  const [isOpen, setOpen] = useState(false);
  return (
    <div>
      <Button color="inherit" onClick={() => setOpen(true)} sx={{ ml: -2 }}>
        {t('report')}
      </Button>
      {isOpen ? (
        <Suspense fallback={null}>
          <ReportDialog imageId={image.id} token={token} onClose={() => setOpen(false)} />
        </Suspense>
      ) : null}
    </div>
  );
}
