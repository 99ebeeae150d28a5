const ROUND = [1, 1.2, 1.6, 2, 3, 4, 5, 6, 8, 10];

/** The smallest round number that is not below the value: 10, 12, 16, 20, 30 ..., and fractions likewise. */
export function roundUp(value: number): number {
  if (value <= 0) return 1;
  const unit = 10 ** Math.floor(Math.log10(value));
  const step = ROUND.find((each) => each * unit >= value * (1 - 1e-9)) ?? 10;
  return step * unit;
}

/** The grid lines of a chart, from the top to zero. Counts get whole numbers. */
export function ticks(max: number, isCount: boolean): number[] {
  const top = isCount ? Math.max(1, Math.ceil(roundUp(max))) : roundUp(max);
  return isCount && top % 2 === 1 ? [top, 0] : [top, top / 2, 0];
}
