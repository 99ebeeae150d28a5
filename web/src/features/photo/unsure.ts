import type { CandidateOut } from '@/shared/api/generated';

const SURE_FROM = 0.4;

/** Whether the model says of a caption that it is probably not acceptable. One that says nothing is believed. */
export function isUnsure(candidate: CandidateOut): boolean {
  return typeof candidate.confidence === 'number' && candidate.confidence < SURE_FROM;
}
