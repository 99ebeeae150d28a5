import { screen } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it, vi } from 'vitest';
import { problemOf } from '@/shared/api/problem';
import i18n from '@/shared/i18n';
import { imageOf, json, serve, show } from '@/shared/testing/render';
import { UploadCard } from './UploadCard';
import { Uploader } from './uploader';
import type { Upload } from './uploads';
import { UploaderContext } from './useUploader';

const refused = problemOf({ status: 422, data: { detail: 'notes.jpg is not a photo.', hint: 'Send a JPEG.' } });
const offline = problemOf({ status: 'FETCH_ERROR' });
const busy = problemOf({ status: 503 });

function upload(changes: Partial<Upload>): Upload {
  return { id: 'upload-1', name: 'cat.jpg', url: null, state: 'waiting', progress: 0, image: null, problem: null, ...changes };
}

function card(changes: Partial<Upload>) {
  const uploader = new Uploader(vi.fn(), () => undefined);
  show(
    <UploaderContext value={uploader}>
      <UploadCard upload={upload(changes)} />
    </UploaderContext>,
  );
  return uploader;
}

describe('UploadCard', () => {
  beforeAll(() => i18n.loadNamespaces('caption'));

  it.each([
    ['is waiting', { state: 'waiting' }, 'Waiting to upload'],
    ['waits for a connection', { state: 'waiting', problem: offline }, 'Waiting for a connection'],
    ['waits for a busy server', { state: 'waiting', problem: busy }, 'The server is busy; trying again shortly'],
    ['is uploading', { state: 'sending', progress: 0.42 }, 'Uploading, 42%'],
    ['is uploaded', { state: 'sent' }, 'In the queue'],
    ['was refused, with a hint', { state: 'failed', problem: refused }, 'notes.jpg is not a photo. Send a JPEG.'],
  ] satisfies [string, Partial<Upload>, string | RegExp][])('%s', (_, changes, words) => {
    card(changes);
    expect(screen.getByText(words)).toBeInTheDocument();
    expect(screen.getByText('cat.jpg')).toBeInTheDocument();
  });

  it('has an accessible progress bar', () => {
    card({ state: 'sending', progress: 0.42 });
    expect(screen.getByRole<HTMLProgressElement>('progressbar').position).toBeCloseTo(0.42);
  });

  it('can be cancelled while pending, and retried or removed after it failed', async () => {
    const uploader = card({ state: 'failed', problem: refused });
    const again = vi.spyOn(uploader, 'retry').mockImplementation(() => undefined);
    const away = vi.spyOn(uploader, 'cancel').mockImplementation(() => undefined);
    await userEvent.click(screen.getByRole('button', { name: 'Try again' }));
    await userEvent.click(screen.getByRole('button', { name: 'Remove' }));
    expect(again).toHaveBeenCalledExactlyOnceWith('upload-1');
    expect(away).toHaveBeenCalledExactlyOnceWith('upload-1');
  });

  it('becomes the card of the image', async () => {
    serve({ 'GET /api/v1/images/image-1': json(imageOf({ caption: 'A cat sleeps.' })) });
    card({ state: 'sent', image: 'image-1' });
    expect(await screen.findByText('A cat sleeps.')).toBeInTheDocument();
  });
});
