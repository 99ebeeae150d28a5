import Button from '@mui/material/Button';
import { useTranslation } from 'react-i18next';
import { useGetSessionQuery } from '@/shared/api/generated';
import { ask, goToProvider } from './allauth';

/** A button for each place that this service lets people sign in with. */
export function Providers() {
  const { t } = useTranslation('account');
  const providers = useGetSessionQuery({}).data?.providers ?? [];
  return providers.map((provider) => (
    <Button
      key={provider.id}
      variant="outlined"
      size="large"
      onClick={() => void ask('GET', '/config').then(() => goToProvider(provider.id))}
    >
      {t('provider.with', { name: provider.name })}
    </Button>
  ));
}
