import { useCallback } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { problemOf } from '@/shared/api/problem';
import { toastShown } from '@/shared/ui/toasts';
import { needsReauthentication, type Answer } from './allauth';

/** Show why the account API refused; nothing if the user cancelled reauthentication. */
export function useRefusalToast(): (answer: Answer) => void {
  const { t } = useTranslation('account');
  const dispatch = useDispatch();
  return useCallback(
    (answer) => {
      if (needsReauthentication(answer)) return;
      const reason = answer.status === 0 ? t('error.offline') : answer.status === 429 ? t('error.tooMany') : answer.errors[0]?.message;
      dispatch(toastShown({ tone: 'error', text: reason ?? t('error.notDone') }));
    },
    [dispatch, t],
  );
}

/** The same for Cutline's own API. */
export function useErrorToast(): (result: { error?: unknown }) => void {
  const { t } = useTranslation('account');
  const dispatch = useDispatch();
  return useCallback(
    ({ error }) => {
      if (!error) return;
      const { status, detail } = problemOf(error);
      dispatch(toastShown({ tone: 'error', text: status === 0 ? t('error.offline') : detail || t('error.notDone') }));
    },
    [dispatch, t],
  );
}
