import { useTranslation } from 'react-i18next';
import { useParams } from 'react-router';
import { useAskingMs } from '@/shared/api/asking';
import { useGetImageQuery } from '@/shared/api/generated';
import { Failure } from '@/shared/ui/StateView';
import { Page } from '@/shared/ui/Page';
import { PhotoSkeleton } from './PhotoSkeleton';
import { PhotoView } from './PhotoView';

/** A photo's page, for its owner or anybody who may see it. */
export default function PhotoPage() {
  const { t } = useTranslation('photo');
  const { id = '' } = useParams();
  const { data, error, isFetching, refetch } = useGetImageQuery({ imageId: id }, { pollingInterval: useAskingMs() });
  if (data?.id === id) return <PhotoView image={data} />;
  return (
    <Page title={t('title')} width="xl" hideTitle>
      {error && !isFetching ? <Failure error={error} onRetry={() => void refetch()} /> : <PhotoSkeleton />}
    </Page>
  );
}
