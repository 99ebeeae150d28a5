import { describe, expect, it } from 'vitest';
import { placeOf } from './AttentionOverlay';

function spot(row: number, column: number) {
  const weights = new Uint8Array(81);
  weights[row * 9 + column] = 255;
  return { rows: 9, columns: 9, weights };
}

describe('placeOf', () => {
  it('names the part of the photo that holds the weight', () => {
    expect(placeOf(spot(0, 0))).toBe('topLeft');
    expect(placeOf(spot(4, 8))).toBe('right');
    expect(placeOf(spot(8, 4))).toBe('bottom');
    expect(placeOf({ rows: 9, columns: 9, weights: new Uint8Array(81).fill(7) })).toBe('centre');
  });
  it('returns the centre for a map without weight', () => {
    expect(placeOf({ rows: 2, columns: 2, weights: [0, 0, 0, 0] })).toBe('centre');
  });
});
