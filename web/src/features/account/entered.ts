import { useCallback } from 'react';
import { useDispatch } from 'react-redux';
import { useNavigate } from 'react-router';
import { baseApi } from '@/shared/api/base';
import { forgotten } from '@/shared/api/live';

/** After signing in or out everything is another's: forget what was loaded, and go on. */
export function useEntered(): (to: string) => void {
  const dispatch = useDispatch();
  const navigate = useNavigate();
  return useCallback(
    (to) => {
      dispatch(forgotten());
      dispatch(baseApi.util.resetApiState());
      void navigate(to, { replace: true });
    },
    [dispatch, navigate],
  );
}
