import { problemOf, type Problem } from '@/shared/api/problem';
import type { BulkOut } from '@/shared/api/generated';
import type { Dropped } from '@/shared/lib/dropped';

export type Sent = { ok: true; bulk: BulkOut } | { ok: false; problem: Problem };

/** Send an archive, telling how far it is (0 to 1). XMLHttpRequest, for fetch does not tell. */
export function sendArchive(archive: Blob, name: string, key: string, onProgress: (share: number) => void): Promise<Sent> {
  return new Promise((resolve) => {
    const request = new XMLHttpRequest();
    request.upload.onprogress = (event) => {
      if (event.lengthComputable) onProgress(event.loaded / event.total);
    };
    request.onload = () => {
      if (request.status < 300) resolve({ ok: true, bulk: request.response as BulkOut });
      else resolve({ ok: false, problem: problemOf({ status: request.status, data: request.response as unknown }) });
    };
    request.onerror = () => resolve({ ok: false, problem: problemOf({ status: 'FETCH_ERROR' }) });
    request.responseType = 'json';
    request.open('POST', '/api/v1/bulk');
    request.setRequestHeader('Idempotency-Key', key);
    const form = new FormData();
    form.append('archive', archive, name);
    form.append('name', name);
    request.send(form);
  });
}

/** A folder's photos as one archive. Photos are compressed already: they are only put together. */
export async function pack(files: readonly Dropped[]): Promise<Blob> {
  const { downloadZip } = await import('client-zip');
  return downloadZip(files.map(({ path, file }) => ({ name: path, input: file }))).blob();
}
