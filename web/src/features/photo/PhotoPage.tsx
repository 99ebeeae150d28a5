import { useTranslation } from '@/shared/i18n/useTranslation';
import { useParams } from '@/shared/lib/router';
import { usePollingMs } from '@/shared/api/polling';
import { useGetImageQuery } from '@/shared/api/generated';
import { Failure } from '@/shared/ui/StateView';
import { Page } from '@/shared/ui/Page';
import { PhotoSkeleton } from './PhotoSkeleton';
import { PhotoView } from './PhotoView';

/** A photo's page, for its owner and everyone else who may see it. */
export default function PhotoPage() {
  const { t } = useTranslation('photo');
  const { id = '' } = useParams();
  const { data, error, isFetching, refetch } = useGetImageQuery({ imageId: id }, { pollingInterval: usePollingMs() });
  if (data?.id === id) return <PhotoView key={id} image={data} />; // nothing that was typed at another photo stays
  return (
    <Page title={t('title')} width="xl" hideTitle>
      {error && !isFetching ? <Failure error={error} onRetry={() => void refetch()} /> : <PhotoSkeleton />}
    </Page>
  );
}
