import Button from '@mui/material/Button';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useGetSessionQuery } from '@/shared/api/generated';
import { request, goToProvider } from './allauth';

/** A button for each configured sign-in provider. */
export function Providers() {
  const { t } = useTranslation('account');
  const providers = useGetSessionQuery({}).data?.providers ?? [];
  return providers.map((provider) => (
    <Button
      key={provider.id}
      variant="outlined"
      size="large"
      onClick={() => void request('GET', '/config').then(() => goToProvider(provider.id))}
    >
      {t('provider.with', { name: provider.name })}
    </Button>
  ));
}
