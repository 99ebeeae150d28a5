import { useCallback } from 'react';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useDispatch } from 'react-redux';
import { baseApi } from '@/shared/api/base';
import { toastShown, type Toast } from '@/shared/ui/toasts';
import { writeJson } from '@/shared/api/write';

/** What a toast's undo does, by its kind. */
export function useUndo(): (undo: NonNullable<Toast['undo']>) => void {
  const dispatch = useDispatch();
  const { t } = useTranslation();
  return useCallback(
    (undo) => {
      if (undo.kind !== 'undelete') return;
      Promise.all(undo.ids.map((id) => writeJson('POST', `/api/v1/images/${id}/undelete`))).then(
        () => dispatch(baseApi.util.invalidateTags(['images', 'gallery'] as never[])),
        () => dispatch(toastShown({ tone: 'error', text: t('action.undoFailed') })),
      );
    },
    [dispatch, t],
  );
}
