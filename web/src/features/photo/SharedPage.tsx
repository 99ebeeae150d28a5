import { useTranslation } from '@/shared/i18n/useTranslation';
import { useParams } from '@/shared/lib/router';
import { useGetSharedImageQuery } from '@/shared/api/generated';
import { Failure } from '@/shared/ui/StateView';
import { Page } from '@/shared/ui/Page';
import { PhotoSkeleton } from './PhotoSkeleton';
import { PhotoView } from './PhotoView';

/** A photo opened by its share link. */
export default function SharedPage() {
  const { t } = useTranslation('photo');
  const { token = '' } = useParams();
  const { data, error, isFetching, refetch } = useGetSharedImageQuery({ token });
  if (data) return <PhotoView image={data} token={token} />;
  return (
    <Page title={t('title')} width="xl" hideTitle>
      {error && !isFetching ? <Failure error={error} onRetry={() => void refetch()} /> : <PhotoSkeleton />}
    </Page>
  );
}
