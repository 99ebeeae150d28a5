import { describe, expect, it } from 'vitest';
import { isBusy, restyled, type Action, type Kept, type Styling, type Words } from './styling';

interface Caption extends Kept {
  id: string;
}

function words(changes: Partial<Words>): Action<Caption> {
  const plain = { job: 'job-1', image: 'image-1', run: 1, seq: 1, number: 0, attempt: 1, text: '', whole: false, removed: [], reasons: [] };
  return { type: 'heard', words: { ...plain, ...changes } };
}

function after(...actions: Action<Caption>[]): Styling<Caption> {
  return actions.reduce<Styling<Caption>>(restyled, []);
}

function texts(styling: Styling<Caption>): string[] {
  return styling.flatMap(({ variants }) => variants.map(({ text }) => text));
}

const asked: Action<Caption> = { type: 'asked', id: 'first', count: 2, isMore: false };
const accepted: Action<Caption> = { type: 'accepted', job: 'job-1' };
const kept = (rank: number, text: string): Caption => ({ id: `caption-${rank}`, job: 'job-1', rank, text, style: { removed: [] } });

describe('restyled', () => {
  it('shows all words of a variant so far, and ignores what is older', () => {
    const styling = after(asked, accepted, words({ seq: 2, text: 'Chasing waves' }), words({ seq: 1, text: 'Chasing' }), words({ seq: 3, number: 1, text: 'A dog' }));
    expect(texts(styling)).toEqual(['Chasing waves', 'A dog']);
    expect(isBusy(styling)).toBe(true);
  });

  it('hears words that come before the answer to the request', () => {
    expect(texts(after(asked, words({ text: 'Chasing' }), accepted))).toEqual(['Chasing', '']);
    const others = after(asked, words({ job: 'of another page', text: 'Chasing' }), accepted, words({ text: 'A dog' }));
    expect(texts(others)).toEqual(['A dog', '']);
  });

  it('keeps what stood there until it is written anew', () => {
    const torn = [asked, accepted, words({ text: 'Chasing waves' }), words({ seq: 2, number: 1, text: 'A dog.', whole: true })];
    const again = after(...torn, words({ run: 2, seq: 1, text: 'Sand' }));
    expect(again[0]?.variants).toMatchObject([
      { text: 'Sand', longest: 'Chasing waves', isOld: false },
      { text: 'A dog.', isOld: true, isWhole: false },
    ]);
    expect(after(...torn, words({ seq: 3, attempt: 2, text: '' }))[0]?.variants[0]).toMatchObject({ text: 'Chasing waves', isOld: true });
    expect(texts(after(...torn, words({ run: 2, text: 'Sand' }), words({ run: 1, seq: 9, text: 'Late' })))).toEqual(['Sand', 'A dog.']);
  });

  it('ends with each caption once, whatever is heard afterwards', () => {
    const done: Action<Caption> = { type: 'kept', captions: [kept(1, 'A dog.'), kept(0, 'Waves.')] };
    const styling = after(asked, accepted, words({ text: 'Wav' }), done, done, words({ seq: 5, text: 'Late' }), { type: 'ended', job: 'job-1', state: 'failed', trouble: null });
    expect(texts(styling)).toEqual(['Waves.', 'A dog.']);
    expect(styling[0]).toMatchObject({ phase: 'done' });
    expect(styling[0]?.variants.map(({ caption }) => caption?.id)).toEqual(['caption-0', 'caption-1']);
  });

  it('says why a variant was refused, and what was taken away', () => {
    const reasons = ['it insults'];
    const styling = after(asked, accepted, words({ text: '', whole: true, reasons }), words({ seq: 2, number: 1, text: 'A dog.', whole: true, removed: ['#Beer'] }), { type: 'kept', captions: [kept(0, 'A dog.')] });
    expect(styling[0]?.variants).toMatchObject([{ text: '', isWhole: true, reasons, caption: null }, { text: 'A dog.', removed: ['#Beer'] }]);
  });

  it('fails, is tried again and can be stopped', () => {
    const trouble = { code: 'restyler_unavailable', message: 'It did not answer.' };
    const failed = after(asked, accepted, { type: 'ended', job: 'job-1', state: 'failed', trouble });
    expect(failed[0]).toMatchObject({ phase: 'failed', trouble });
    const again = restyled(failed, { type: 'again', job: 'job-1' });
    expect(isBusy(again)).toBe(true);
    expect(restyled(again, { type: 'ended', job: 'job-1', state: 'cancelled', trouble: null })[0]?.phase).toBe('stopped');
    expect(after(asked, { type: 'refused', trouble })[0]).toMatchObject({ phase: 'failed', trouble });
  });

  it('adds more below what is there, and begins anew otherwise', () => {
    const done = after(asked, accepted, { type: 'kept', captions: [kept(0, 'Waves.'), kept(1, 'A dog.')] });
    expect(texts(restyled(done, { type: 'asked', id: 'second', count: 1, isMore: true }))).toEqual(['Waves.', 'A dog.', '']);
    expect(texts(restyled(done, asked))).toEqual(['', '']);
  });

  it('begins with what was written last', () => {
    const captions = [kept(0, 'Waves.'), kept(1, 'A dog.'), { ...kept(0, 'Old.'), job: 'earlier' }];
    expect(texts(after({ type: 'kept', captions }))).toEqual(['Waves.', 'A dog.']);
    expect(after({ type: 'kept', captions: [] })).toEqual([]);
  });

  it('follows what another page has asked for', () => {
    expect(texts(after(words({ number: 1, text: 'A dog' })))).toEqual(['', 'A dog']);
  });
});
