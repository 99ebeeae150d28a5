import Alert from '@mui/material/Alert';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { useListKeysQuery, useRevokeKeysMutation } from '@/shared/api/generated';
import { toastShown } from '@/shared/ui/toasts';
import { useErrorToast } from './errorToasts';
import { RemoveButton } from './RemoveButton';

/** After a change of the password: keys still work, and whoever knew the password may have made some. */
export function KeysOffer() {
  const { t } = useTranslation('account');
  const dispatch = useDispatch();
  const keys = useListKeysQuery({});
  const [revokeAll] = useRevokeKeysMutation();
  const showError = useErrorToast();
  const working = keys.data?.items.filter((key) => !key.revoked_at).length ?? 0;
  if (working === 0) return null;
  const onConfirm = async () => {
    const result = await revokeAll({});
    if (result.error) showError(result);
    else dispatch(toastShown({ tone: 'success', text: t('keys.allRevoked') }));
  };
  return (
    <Alert
      severity="info"
      role="status"
      sx={{ mt: 2, maxWidth: 520 }}
      action={
        <RemoveButton
          label={t('keys.revokeAll')}
          question={t('keys.revokeAllQuestion')}
          consequence={t('keys.revokeAllConsequence')}
          onConfirm={() => void onConfirm()}
        />
      }
    >
      {t('keys.stillWork', { count: working })}
    </Alert>
  );
}
