import { describe, expect, it } from 'vitest';
import { toneOf, withoutHashtags, wordsOf } from './voice';

describe('toneOf', () => {
  it("knows tones by their names in the page's language, and takes any other as it is", () => {
    const names = { dry: 'trocken' };
    expect(toneOf(' Trocken ', names)).toBe('dry');
    expect(toneOf('wie eine stolze Großmutter ', names)).toBe('wie eine stolze Großmutter');
    expect(toneOf('constructor', names)).toBe('constructor');
  });
});

describe('withoutHashtags', () => {
  const parts = { body: 'Waves and #1 dog', hashtags: ['#Beach', '#Dog'], voice: { prefix: 'Look:', suffix: '(c) me' } };
  it('leaves out the hashtags alone', () => {
    expect(withoutHashtags('Look: Waves and #1 dog (c) me #Beach #Dog', parts)).toBe('Look: Waves and #1 dog (c) me');
  });
  it('does so in an edited text', () => {
    expect(withoutHashtags('My #1 dog #Dog', parts)).toBe('My #1 dog');
  });
});

it('splits words at commas', () => expect(wordsOf(' cute,, very nice ,')).toEqual(['cute', 'very nice']));
