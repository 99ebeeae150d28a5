import { problemOf, type Problem } from '@/shared/api/problem';
import type { BulkOut } from '@/shared/api/generated';
import type { Dropped } from '@/shared/lib/dropped';
import type { VoiceOut } from '@/shared/voice/generated';

export type Sent = { ok: true; bulk: BulkOut } | { ok: false; problem: Problem };

/** What is uploaded. voice: in which the photos are captioned besides. */
export interface NewArchive {
  archive: Blob;
  name: string;
  voice: VoiceOut | null;
}

/** Upload an archive and report progress (0 to 1). Uses XMLHttpRequest: fetch has no upload progress. */
export function sendArchive({ archive, name, voice }: NewArchive, key: string, onProgress: (share: number) => void): Promise<Sent> {
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
    const fields: Record<string, string | number | boolean | string[]> = voice ?? {};
    for (const [field, value] of Object.entries(fields)) {
      for (const each of Array.isArray(value) ? value : [value]) form.append(field, String(each));
    }
    request.send(form);
  });
}

/** Pack a folder's files into one archive, uncompressed: photos are compressed already. */
export async function pack(files: readonly Dropped[]): Promise<Blob> {
  const { downloadZip } = await import('client-zip');
  return downloadZip(files.map(({ path, file }) => ({ name: path, input: file }))).blob();
}
