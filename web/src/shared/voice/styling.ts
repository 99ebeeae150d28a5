// What becomes of a request for captions in a voice, as a pure function of what is heard about it.

/** Words of one variant, as the server streams them: all of them so far. */
export interface Words {
  job: string;
  image: string;
  run: number; // begins anew with each attempt of the job
  seq: number;
  number: number; // of the variant
  attempt: number; // of writing it: a higher one replaces a text that broke a rule
  text: string;
  whole: boolean; // the caption as it is kept; without a text, it was refused
  removed: string[];
  reasons: string[];
}

/** A caption that is written, or was. */
export interface Variant<Caption> {
  text: string;
  longest: string; // what was shown at most: nothing moves while a text is written anew
  isOld: boolean; // what is shown will be replaced by what is being written
  isWhole: boolean;
  removed: readonly string[];
  reasons: readonly string[];
  caption: Caption | null; // once it is kept
}

export interface Trouble {
  code: string;
  message: string;
}

export type Phase = 'asking' | 'writing' | 'done' | 'failed' | 'stopped';

/** One request and its variants. */
export interface Batch<Caption> {
  id: string;
  job: string | null; // null: not accepted yet
  phase: Phase;
  variants: readonly Variant<Caption>[];
  run: number;
  seq: number;
  trouble: Trouble | null;
}

export interface Kept {
  job?: string | null;
  rank?: number | null;
  text: string;
  style: { removed: readonly string[] };
}

export type Styling<Caption> = readonly Batch<Caption>[];

export type Action<Caption> =
  | { type: 'asked'; id: string; count: number; isMore: boolean }
  | { type: 'accepted'; job: string }
  | { type: 'refused'; trouble: Trouble }
  | { type: 'heard'; words: Words }
  | { type: 'ended'; job: string; state: string; trouble: Trouble | null }
  | { type: 'again'; job: string }
  | { type: 'kept'; captions: readonly Caption[] }; // newest first

const EMPTY = { text: '', longest: '', isOld: false, isWhole: false, removed: [], reasons: [], caption: null } as const;

export function isBusy(styling: Styling<unknown>): boolean {
  return styling.some(({ phase }) => phase === 'asking' || phase === 'writing');
}

function batch<Caption>(id: string, count = 0, changes: Partial<Batch<Caption>> = {}): Batch<Caption> {
  return { id, job: null, phase: 'asking', variants: Array.from({ length: count }, () => EMPTY), run: 0, seq: 0, trouble: null, ...changes };
}

function longer(left: string, right: string): string {
  return left.length > right.length ? left : right;
}

function hear<Caption>(before: Batch<Caption>, words: Words): Batch<Caption> {
  if (words.run < before.run || (words.run === before.run && words.seq <= before.seq)) return before;
  const isNewRun = before.run > 0 && words.run > before.run;
  // What stood there stays until it is written anew: nothing flickers.
  const variants = before.variants.map((each) => (isNewRun ? { ...each, isOld: true, isWhole: false, removed: [], reasons: [] } : each));
  while (variants.length <= words.number) variants.push(EMPTY);
  const known = variants[words.number] ?? EMPTY;
  const isOld = !words.whole && words.text === '' && known.text !== '';
  const text = isOld ? known.text : words.text;
  variants[words.number] = {
    ...known,
    text,
    isOld,
    longest: longer(known.longest, text),
    isWhole: words.whole,
    removed: words.removed,
    reasons: words.reasons,
  };
  return { ...before, phase: 'writing', variants, run: words.run, seq: words.seq };
}

/** Put the captions that are kept in their places. Ranks have no gaps where variants were refused. */
function keep<Caption extends Kept>(before: Batch<Caption>, captions: readonly Caption[]): Batch<Caption> {
  const left = [...captions].sort((one, other) => (one.rank ?? 0) - (other.rank ?? 0));
  const take = (isMeant: (each: Caption) => boolean): Caption | undefined => {
    const place = left.findIndex(isMeant);
    return place < 0 ? undefined : left.splice(place, 1)[0];
  };
  const known = before.variants.map((each) => (each.isWhole && each.text !== '' ? take(({ text }) => text === each.text) : undefined));
  const isRefused = ({ isWhole, text }: Variant<Caption>) => isWhole && text === '';
  const found = before.variants.map((each, number) => known[number] ?? (isRefused(each) ? undefined : take(() => true)));
  const settle = (each: Variant<Caption>, caption: Caption | undefined): Variant<Caption> => ({
    ...each,
    text: caption?.text ?? '',
    longest: longer(each.longest, caption?.text ?? ''),
    isOld: false,
    isWhole: true,
    removed: each.removed.length > 0 ? each.removed : (caption?.style.removed ?? []),
    caption: caption ?? null,
  });
  const variants = [...before.variants.map((each, number) => settle(each, found[number])), ...left.map((each) => settle(EMPTY, each))];
  return { ...before, phase: 'done', variants, trouble: null };
}

const ENDS: Record<string, Phase> = { failed: 'failed', cancelled: 'stopped' };

/** The batch that was asked for last, changed. */
function last<Caption>(before: Styling<Caption>, how: (each: Batch<Caption>) => Batch<Caption>): Styling<Caption> {
  return before.map((each, place) => (place === before.length - 1 ? how(each) : each));
}

function ofJob<Caption>(before: Styling<Caption>, job: string, how: (each: Batch<Caption>) => Batch<Caption>): Styling<Caption> {
  return before.map((each) => (each.job === job ? how(each) : each));
}

/** What is known after something was heard. Words of an unknown job begin a batch where nothing else is being written. */
export function restyled<Caption extends Kept>(before: Styling<Caption>, action: Action<Caption>): Styling<Caption> {
  switch (action.type) {
    case 'asked':
      return [...(action.isMore ? before : []), batch(action.id, action.count)];
    case 'accepted':
      // Its words may have come before the answer.
      return last(before, (each) => (each.job === action.job ? each : { ...each, job: action.job, phase: 'writing', run: 0, seq: 0 }));
    case 'refused':
      return last(before, (each) => ({ ...each, phase: 'failed', trouble: action.trouble }));
    case 'heard': {
      const { words } = action;
      if (before.some(({ job }) => job === words.job)) {
        return ofJob(before, words.job, (each) => (each.phase === 'done' ? each : hear(each, words)));
      }
      if (before.at(-1)?.phase === 'asking') return last(before, (each) => hear({ ...each, job: words.job }, words));
      return isBusy(before) ? before : [hear(batch<Caption>(words.job, 0, { job: words.job }), words)];
    }
    case 'ended': {
      const phase = ENDS[action.state];
      if (!phase) return before;
      return ofJob(before, action.job, (each) => (each.phase === 'done' ? each : { ...each, phase, trouble: action.trouble }));
    }
    case 'again':
      return ofJob(before, action.job, (each) => ({ ...each, phase: 'writing', trouble: null }));
    case 'kept': {
      const keptOf = (job: string | null | undefined) => action.captions.filter((each) => each.job === job);
      const newest = action.captions[0]?.job;
      const isKnown = before.length > 0 || !newest;
      const known = isKnown ? before : [batch<Caption>(newest, 0, { job: newest })];
      return known.map((each) => (each.job && keptOf(each.job).length > 0 ? keep(each, keptOf(each.job)) : each));
    }
    default: {
      const never: never = action;
      return never;
    }
  }
}
