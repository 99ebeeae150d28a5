import { useCallback } from 'react';
import { useDispatch } from 'react-redux';
import { useNavigate } from '@/shared/lib/router';
import { baseApi } from '@/shared/api/base';
import { liveReset } from '@/shared/api/live';

/** After signing in or out: discard all loaded data and navigate. */
export function useSwitchViewer(): (to: string) => void {
  const dispatch = useDispatch();
  const navigate = useNavigate();
  return useCallback(
    (to) => {
      dispatch(liveReset());
      dispatch(baseApi.util.resetApiState());
      navigate(to, { replace: true });
    },
    [dispatch, navigate],
  );
}
