/* Written by docs/generate.py. */

/** From which to which number each caption option may be. */
export const RANGES = {
  beam_size: { min: 1, max: 64 },
  diversity: { min: 0, max: 100 },
  length_penalty: { min: -10, max: 10 },
  min_length: { min: 0, max: 2147483647 },
  max_length: { min: 1, max: 2147483647 },
  no_repeat_ngram: { min: 0, max: 16 },
  temperature: { min: 0.01, max: 100 },
  top_k: { min: 0, max: 2147483647 },
  top_p: { min: 0.001, max: 1 },
  seed: { min: 0, max: 9007199254740991 },
  sex_confidence: { min: 0.5, max: 1 },
  n: { min: 1, max: 10 },
} as const;
