import { act, screen, waitFor } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it } from 'vitest';
import type { CaptionJobOut } from '@/shared/api/generated';
import { eventReceived } from '@/shared/api/live';
import i18n from '@/shared/i18n';
import { imageOf, json, serve, show } from '@/shared/testing/render';
import { ImageCard } from './ImageCard';

const waiting = imageOf({ caption: '', caption_by: '', job: { id: 'job-1', state: 'queued', stage: '', position: 2 } });

describe('ImageCard', () => {
  beforeAll(() => i18n.loadNamespaces('caption'));

  it('shows the place in the queue, the progress and the caption as events arrive', () => {
    const { store } = show(<ImageCard image={waiting} />);
    const happened = (type: string, data: Record<string, unknown>) =>
      act(() => store.dispatch(eventReceived({ id: 1, type, at: '', data: { image: 'image-1', ...data } } as never)));
    happened('job.changed', { job: 'job-1', state: 'queued' });
    expect(screen.getByText('Number 3 in the queue')).toBeInTheDocument();
    happened('job.changed', { job: 'job-1', state: 'running' });
    expect(screen.getByText('Writing the caption')).toBeInTheDocument();
    expect(screen.getByRole('progressbar')).toHaveAccessibleName('Writing the caption');
    happened('caption.ready', { caption: 'A cat sleeps.' });
    expect(screen.queryByRole('progressbar')).toBeNull();
    expect(screen.getByRole('img')).toHaveAccessibleName('A cat sleeps.');
    expect(screen.getByRole('link', { name: 'Open' })).toHaveAttribute('href', '/images/image-1');
  });

  it('says why it failed, and retries on request', async () => {
    const calls = serve({ 'POST /api/v1/jobs/job-1/retry': json({ id: 'job-1', state: 'queued' } as CaptionJobOut) });
    const error = { code: 'captioner_failed', message: 'The model did not answer.' };
    show(<ImageCard image={{ ...waiting, job: { id: 'job-1', state: 'failed', stage: '', error } }} />);
    expect(screen.getByText(/The model did not answer\./)).toBeInTheDocument();
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    await waitFor(() => expect(calls).toHaveLength(1));
  });

  it('copies its caption and announces it', async () => {
    const user = userEvent.setup(); // with a clipboard
    const { store } = show(<ImageCard image={imageOf()} />);
    await user.click(screen.getByRole('button', { name: 'Copy' }));
    expect(await navigator.clipboard.readText()).toBe('A cat on a mat.');
    expect(store.getState().live.announcement.text).toBe('Caption copied.');
  });
});
