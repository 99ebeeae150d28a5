import type { Dispatch } from '@reduxjs/toolkit';
import { api } from '@/shared/api/generated';
import { problemOf, type Problem } from '@/shared/api/problem';
import { newId } from '@/shared/lib/newId';
import { handOver, lastAccount, loadPending, rememberAccount, removeAll, removePending, savePending, type Sender, type Waiting } from './outbox';
import { uploadChanged, uploadRemoved, uploadsAdded, uploadsCleared } from './uploads';

const AT_ONCE = 3;
const RETRY_MS = 5_000;

interface Accepted {
  items?: { id: string | null; job: string | null; status: string; error?: { code: string; message: string } | null }[];
}

interface Answer {
  status: number;
  data: unknown;
  retryAfterMs: number | null;
}

/** Object URLs of local photos, by upload. Created once each, because an object URL holds memory. */
const previews = new Map<string, string>();
const previewsOfImages = new Map<string, string>();

export function previewOf(upload: string): string | null {
  return previews.get(upload) ?? null;
}

/** The local preview of an image that was just uploaded; shown until the server's thumbnail exists. */
export function previewOfImage(image: string): string | null {
  return previewsOfImages.get(image) ?? null;
}

/** Sends pending uploads, a few at a time, and retries when there is no answer. One instance per app. */
export class Uploader {
  private readonly queue: Waiting[] = [];
  private readonly requests = new Map<string, XMLHttpRequest>();
  private readonly held = new Map<string, ReturnType<typeof setTimeout>>();
  private active = 0;
  private pausedUntil = 0;
  private timer: ReturnType<typeof setTimeout> | undefined;
  private sender: Sender | null = null;
  private isHalted = false;

  /** current: who uses this browser; undefined while that is being loaded, and nothing is sent meanwhile. */
  constructor(
    private readonly dispatch: Dispatch,
    private readonly current: () => Sender | undefined,
  ) {}

  /** Resume the pending uploads of earlier visits. Returns a function that stops the uploader. */
  start(subscribe: (changed: () => void) => () => void): () => void {
    addEventListener('online', this.resume);
    const unsubscribe = subscribe(this.follow);
    this.follow();
    return () => {
      unsubscribe();
      removeEventListener('online', this.resume);
      clearTimeout(this.timer);
    };
  }

  /** Notice who uses this browser now: uploads of an account that was left end, others go on with their owner. */
  private readonly follow = (): void => {
    const now = this.current();
    const before = this.sender;
    if (!now) return;
    if (before?.ownerId === now.ownerId && before.isSignedIn === now.isSignedIn) {
      if (this.isHalted) this.pump();
      return;
    }
    this.sender = now;
    rememberAccount(now);
    if (!before) this.begin(now);
    else if (!before.isSignedIn && (now.isSignedIn || before.ownerId === null)) {
      // The first photo made an owner, or an account claimed everything of this session.
      void handOver(before, now).then(this.pump);
    } else this.leave(before, now);
  };

  /** Send what was added to this page before it was known who uses it, then what is left of earlier visits. */
  private begin(now: Sender): void {
    for (const each of this.queue.splice(0)) {
      if (each.owner !== null && each.owner !== now.ownerId) {
        this.dispatch(uploadRemoved(each.id)); // it waits for its account
        continue;
      }
      const mine = { ...each, owner: now.ownerId };
      this.queue.push(mine);
      void savePending(mine);
    }
    void loadPending(now).then((waiting) => this.enqueue(waiting));
  }

  private leave(before: Sender, now: Sender): void {
    this.queue.length = 0;
    for (const request of this.requests.values()) request.abort();
    for (const timer of this.held.values()) clearTimeout(timer);
    this.held.clear();
    for (const preview of previews.values()) URL.revokeObjectURL(preview);
    previews.clear();
    previewsOfImages.clear();
    this.dispatch(uploadsCleared());
    void removeAll(before)
      .then(() => loadPending(now))
      .then((waiting) => this.enqueue(waiting));
  }

  add(files: readonly File[]): void {
    this.accept(files.map((file) => ({ name: file.name || 'photo', file, url: null })));
  }

  addUrls(urls: readonly string[]): void {
    this.accept(urls.map((url) => ({ name: url, file: null, url })));
  }

  retry(waiting: Waiting['id']): void {
    const sender = this.sender ?? { ownerId: null, isSignedIn: false };
    void loadPending(sender).then((all) => this.enqueue(all.filter((each) => each.id === waiting).map((each) => ({ ...each, problem: null }))));
  }

  cancel(id: string): void {
    const place = this.queue.findIndex((each) => each.id === id);
    if (place >= 0) this.queue.splice(place, 1);
    clearTimeout(this.held.get(id));
    this.held.delete(id);
    this.requests.get(id)?.abort();
    void removePending(id);
    this.dispatch(uploadRemoved(id));
  }

  private accept(what: Pick<Waiting, 'name' | 'file' | 'url'>[]): void {
    const now = Date.now();
    const owner = this.sender ? this.sender.ownerId : lastAccount();
    const waiting = what.map((each, place) => ({ ...each, id: newId(), addedAt: now + place, owner, problem: null }));
    // Save first: if the tab is closed now, the uploads resume on the next visit.
    for (const each of waiting) void savePending(each);
    this.enqueue(waiting);
  }

  private enqueue(waiting: Waiting[]): void {
    const known = new Set([...this.queue.map((each) => each.id), ...this.requests.keys(), ...this.held.keys()]);
    const fresh = waiting.filter((each) => !known.has(each.id));
    for (const { id, file } of fresh) {
      if (file && !previews.has(id)) previews.set(id, URL.createObjectURL(file));
    }
    this.dispatch(uploadsAdded(fresh.map(({ id, name, url }) => ({ id, name, url }))));
    for (const { id, problem } of fresh) {
      this.dispatch(uploadChanged({ id, state: problem ? 'failed' : 'waiting', problem, progress: 0 }));
    }
    this.queue.push(...fresh.filter((each) => !each.problem));
    this.pump();
  }

  private readonly resume = (): void => {
    this.pausedUntil = 0;
    this.pump();
  };

  private readonly pump = (): void => {
    this.isHalted = !this.current();
    if (this.isHalted) return;
    this.follow();
    // Without a session, send only one photo: its answer sets the session cookie. Parallel uploads would each
    // create a session, and all but one would be lost.
    while (this.active < (this.sender?.ownerId ? AT_ONCE : 1) && Date.now() >= this.pausedUntil) {
      const next = this.queue.shift();
      if (!next) return;
      this.active += 1;
      void this.send(next).finally(() => {
        this.active -= 1;
        this.pump();
      });
    }
  };

  private async send(waiting: Waiting): Promise<void> {
    const { id } = waiting;
    this.dispatch(uploadChanged({ id, state: 'sending', progress: 0, problem: null }));
    const answer = await this.post(waiting);
    if (answer === 'aborted') return;
    if (answer.status === 0 || answer.status === 429 || answer.status >= 500) {
      this.retryLater(waiting, answer);
      return;
    }
    if (problemOf(answer).code === 'idempotency_key_in_use') {
      this.retryAfterInUse(waiting);
      return;
    }
    const item = (answer.data as Accepted | null)?.items?.[0];
    if (answer.status < 300 && item?.id) {
      const preview = previews.get(id);
      if (preview) previewsOfImages.set(item.id, preview);
      this.dispatch(uploadChanged({ id, state: 'sent', progress: 1, image: item.id }));
      if (!this.sender?.ownerId) this.dispatch(api.util.invalidateTags(['people']));
      await removePending(id);
      return;
    }
    const problem: Problem = item?.error
      ? { status: answer.status, code: item.error.code, title: '', detail: item.error.message, hint: '' }
      : problemOf({ status: answer.status, data: answer.data });
    await savePending({ ...waiting, owner: this.sender?.ownerId ?? waiting.owner, problem }); // before showing it: the user may reload the page
    this.dispatch(uploadChanged({ id, state: 'failed', problem }));
  }

  /** No answer, too many requests, or a server error: wait, then retry. */
  private retryLater(waiting: Waiting, answer: Answer): void {
    const problem = problemOf({ status: answer.status === 0 ? 'FETCH_ERROR' : answer.status, data: answer.data });
    this.dispatch(uploadChanged({ id: waiting.id, state: 'waiting', problem, progress: 0 }));
    this.queue.unshift(waiting);
    // Pause the whole queue: the next upload would fail in the same way.
    const pause = answer.retryAfterMs ?? RETRY_MS;
    this.pausedUntil = Date.now() + pause;
    clearTimeout(this.timer);
    this.timer = setTimeout(this.resume, pause);
  }

  /** An earlier attempt, whose answer was lost, is still in progress on the server: retry to get its result. */
  private retryAfterInUse(waiting: Waiting): void {
    this.dispatch(uploadChanged({ id: waiting.id, state: 'waiting', problem: null, progress: 0 }));
    const timer = setTimeout(() => {
      this.held.delete(waiting.id);
      this.queue.push(waiting);
      this.pump();
    }, RETRY_MS);
    this.held.set(waiting.id, timer);
  }

  private post(waiting: Waiting): Promise<Answer | 'aborted'> {
    return new Promise((resolve) => {
      // XMLHttpRequest, because fetch has no upload progress.
      const request = new XMLHttpRequest();
      this.requests.set(waiting.id, request);
      const done = (answer: Answer | 'aborted') => {
        this.requests.delete(waiting.id);
        resolve(answer);
      };
      request.upload.onprogress = (event) => {
        if (event.lengthComputable) {
          this.dispatch(uploadChanged({ id: waiting.id, progress: event.loaded / event.total }));
        }
      };
      request.onload = () => {
        const seconds = Number(request.getResponseHeader('Retry-After'));
        const retryAfterMs = Number.isFinite(seconds) && seconds > 0 ? seconds * 1000 : null;
        done({ status: request.status, data: request.response as unknown, retryAfterMs });
      };
      request.onerror = () => done({ status: 0, data: null, retryAfterMs: null });
      request.onabort = () => done('aborted');
      request.responseType = 'json';
      if (waiting.url !== null) {
        request.open('POST', '/api/v1/images/from-url');
        request.setRequestHeader('Content-Type', 'application/json');
        request.setRequestHeader('Idempotency-Key', waiting.id);
        request.send(JSON.stringify({ urls: [waiting.url] }));
        return;
      }
      const form = new FormData();
      if (waiting.file) form.append('files', waiting.file, waiting.name);
      request.open('POST', '/api/v1/images');
      request.setRequestHeader('Idempotency-Key', waiting.id);
      request.send(form);
    });
  }
}
