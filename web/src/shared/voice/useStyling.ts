import { skipToken } from '@reduxjs/toolkit/query';
import { useCallback, useEffect, useReducer, useState } from 'react';
import { useSelector } from 'react-redux';
import { onLiveEvent } from '../api/events';
import { useCancelJobMutation, useRetryJobMutation } from '../api/generated';
import type { LiveState } from '../api/live';
import { problemOf } from '../api/problem';
import { newId } from '../lib/newId';
import { useGetJobQuery, useLazyListStylesQuery, useRequestStylesMutation } from './generated';
import { isBusy, restyled, type Styling, type Trouble, type Words } from './styling';
import { isStyled, type StyledOut, type Voice } from './voice';

export const VARIANTS = 3;

const NEWEST = 20; // captions that are read: those of the newest jobs
const POLL_MS = 15_000; // events tell sooner
const POLL_WITHOUT_EVENTS_MS = 3_000;
const SLOW_MS = 8_000;

/** Requests for captions of a photo in a voice, and their words as they are written. */
export function useStyling(imageId: string) {
  const [styling, dispatch] = useReducer(restyled<StyledOut>, [] as Styling<StyledOut>);
  const [request] = useRequestStylesMutation();
  const [cancel] = useCancelJobMutation();
  const [retry] = useRetryJobMutation();
  const [list, { currentData: kept }] = useLazyListStylesQuery();
  const isLive = useSelector((state: { live: LiveState }) => state.live.connection === 'open');
  const busy = isBusy(styling);
  const job = styling.at(-1)?.job ?? null;

  const fetchKept = useCallback(() => void list({ imageId, limit: NEWEST }), [list, imageId]);
  const note = useCallback(
    ({ id, state, error }: { id: string; state: string; error?: Trouble | null }) => {
      if (state === 'done') fetchKept();
      else dispatch({ type: 'ended', job: id, state, trouble: error ?? null });
    },
    [fetchKept],
  );

  useEffect(fetchKept, [fetchKept]); // what was written before
  useEffect(() => {
    if (kept) dispatch({ type: 'kept', captions: kept.items.filter(isStyled) });
  }, [kept]);
  useEffect(
    () =>
      onLiveEvent(({ type, data }) => {
        if (data.image !== imageId) return;
        if (type === 'styles.words') dispatch({ type: 'heard', words: data as unknown as Words });
        if (type === 'styles.ready') fetchKept();
        if (type === 'job.changed' && data.kind === 'style') {
          note({ id: String(data.job), state: String(data.state), error: data.error as Trouble | null });
        }
      }),
    [imageId, fetchKept, note],
  );

  // Events may be missed, or come before the answer to the request.
  const known = useGetJobQuery(busy && job ? { jobId: job } : skipToken, {
    pollingInterval: isLive ? POLL_MS : POLL_WITHOUT_EVENTS_MS,
    refetchOnMountOrArgChange: true,
  }).currentData;
  useEffect(() => {
    if (known && known.id === job) note(known);
  }, [known, job, note]);

  const ask = async (voice: Voice | null, like?: StyledOut) => {
    dispatch({ type: 'asked', id: newId(), count: VARIANTS, isMore: like !== undefined });
    const result = await request({ imageId, stylesIn: { n: VARIANTS, ...(like ? { like: like.id } : voice) } });
    if (result.data) dispatch({ type: 'accepted', job: result.data.id });
    else {
      const { code, detail } = problemOf(result.error);
      dispatch({ type: 'refused', trouble: { code, message: detail } });
    }
    return !result.error;
  };
  const stop = () => (job ? cancel({ jobId: job }) : Promise.resolve());
  const tryAgain = async (failed: string) => {
    const result = await retry({ jobId: failed });
    if (!result.error) dispatch({ type: 'again', job: failed });
  };
  return { styling, isBusy: busy, isLive, isSlow: useIsSlow(busy, styling), ask, stop, tryAgain };
}

/** Whether nothing has come for a while. */
function useIsSlow(isWaiting: boolean, latest: unknown): boolean {
  const [slow, setSlow] = useState<unknown>(null);
  useEffect(() => {
    if (!isWaiting) return undefined;
    const timer = setTimeout(() => setSlow(latest), SLOW_MS);
    return () => clearTimeout(timer);
  }, [isWaiting, latest]);
  return isWaiting && slow === latest;
}
