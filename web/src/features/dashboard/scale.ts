const ROUND = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];

/** The next round number at or above: 10, 12, 16, 20, 30 ... and the same in parts of one. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = ROUND.find((each) => each * unit >= value * (1 - 1e-9)) ?? 10;
  return step * unit;
}

/** Where the lines of a chart stand, from the highest to nought. Things are counted in whole numbers. */
export function ticks(most: number, isCount: boolean): number[] {
  const top = isCount ? Math.max(1, Math.ceil(roundUp(most))) : roundUp(most);
  return isCount && top % 2 === 1 ? [top, 0] : [top, top / 2, 0];
}
