import type { CandidateOut, StyleOut, VoiceOut } from './generated';

export const AUDIENCES = ['personal', 'promotional', 'academic'] as const;
export type Audience = (typeof AUDIENCES)[number];

export const LENGTHS = ['short', 'medium', 'long'] as const;
export type Length = (typeof LENGTHS)[number];

/** How a caption should sound. */
export type Voice = VoiceOut & { audience: Audience; length: Length };

/** A caption in a voice, as its owner sees it. */
export type StyledOut = CandidateOut & { style: StyleOut };

export function isStyled(candidate: CandidateOut): candidate is StyledOut {
  return Boolean(candidate.style);
}

/** The tones that are offered as chips; the field suggests more. Their names are messages. */
export const TONES = [
  'just clearer',
  'quirky',
  'dry',
  'funny',
  'warm',
  'upbeat',
  'poetic',
  'dramatic',
  'nostalgic',
  'like a haiku',
] as const;

/** What a preset is laid over. */
export const PLAIN_VOICE: Voice = {
  tone: 'plain',
  audience: 'personal',
  length: 'medium',
  hashtags: 0,
  emoji: false,
  language: 'en',
  prefix: '',
  suffix: '',
  avoid: [],
};

/** What the form has for somebody who never used it. */
export const FIRST_VOICE: Voice = { ...PLAIN_VOICE, tone: 'quirky', hashtags: 3, emoji: true };

/** A voice that was kept. */
export function voiceOf(kept: VoiceOut): Voice {
  const { audience, length } = kept;
  return {
    ...kept,
    audience: AUDIENCES.find((each) => each === audience) ?? PLAIN_VOICE.audience,
    length: LENGTHS.find((each) => each === length) ?? PLAIN_VOICE.length,
  };
}

/** What people type, as a list of words. */
export function wordsOf(text: string): string[] {
  return text.split(',').map((each) => each.trim()).filter(Boolean);
}

/** The tone that a text means, which may be the name of a tone in the page's language. Models know the English names. */
export function toneOf(text: string, names: Readonly<Record<string, string>>): string {
  const typed = text.trim().toLocaleLowerCase();
  return Object.keys(names).find((tone) => names[tone]?.toLocaleLowerCase() === typed) ?? text.trim();
}

interface Parts {
  body: string;
  hashtags: readonly string[];
  voice: Pick<Voice, 'prefix' | 'suffix'>;
}

/** A caption without its hashtags, also where a person has edited it. */
export function withoutHashtags(text: string, { body, hashtags, voice }: Parts): string {
  const whole = [voice.prefix, body, voice.suffix].filter(Boolean).join(' ');
  if (text.startsWith(whole)) return whole;
  const tags = new Set(hashtags);
  return text
    .split(/\s+/)
    .filter((word) => !tags.has(word))
    .join(' ');
}
