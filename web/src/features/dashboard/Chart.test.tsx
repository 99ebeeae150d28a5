import { screen, within } from '@testing-library/react';
import userEvent from '@testing-library/user-event';
import { beforeAll, describe, expect, it } from 'vitest';
import i18n from '@/shared/i18n';
import { show } from '@/shared/testing/render';
import { Chart } from './Chart';
import { roundUp, ticks } from './scale';

const DAYS = ['2026-01-01', '2026-01-02', '2026-01-03'];

describe('Chart', () => {
  beforeAll(() => i18n.loadNamespaces('dashboard'));

  it('also shows its numbers in a table, with missing ones marked', async () => {
    show(<Chart title="Latency" kind="lines" labels={DAYS} series={[{ name: 'Median', values: [0.2, null, 1] }]} format={(value) => `${value} s`} />);
    await userEvent.click(screen.getByText('Show as table'));
    const rows = within(screen.getByRole('table')).getAllByRole('row');
    expect(rows.slice(1).map((row) => row.textContent)).toEqual(['Jan 10.2 s', 'Jan 2–', 'Jan 31 s']);
  });

  it('scales bars to a round maximum', () => {
    show(<Chart title="Uploads" total="6 total" labels={DAYS} series={[{ name: 'Uploads', values: [1, 2, 4] }]} />);
    const drawing = screen.getByRole('img', { name: 'Uploads: 6 total' });
    const bars = [...drawing.querySelectorAll('rect')].map((bar) => Number(bar.getAttribute('height')));
    expect(bars.slice(0, 3)).toEqual([40, 80, 160]); // of 160, which are four
  });

  it('breaks a line where data is missing', () => {
    show(<Chart title="Latency" kind="lines" labels={DAYS} series={[{ name: 'Median', values: [1, null, 1] }]} format={String} />);
    expect(screen.getByRole('img').querySelector('path')?.getAttribute('d')).not.toContain('L');
  });

  it('shows an isolated day as a dot, including the last one', () => {
    show(<Chart title="Latency" kind="lines" labels={DAYS} series={[{ name: 'Median', values: [null, null, 1] }]} format={String} />);
    expect(screen.getByRole('img').querySelector('path')?.getAttribute('d')).toMatch(/M500 0 h0\.01/);
  });
});

describe('scale', () => {
  it.each([[0, 1], [1, 1], [3, 3], [5, 5], [11, 12], [72, 80], [0.07, 0.08], [0.23, 0.3]])('%d ends at %d', (value, top) => {
    expect(roundUp(value)).toBeCloseTo(top, 9);
  });
  it('uses whole numbers for counts', () => {
    expect(ticks(1, true)).toEqual([1, 0]);
    expect(ticks(3, true)).toEqual([3, 0]);
    expect(ticks(11, true)).toEqual([12, 6, 0]);
    expect(ticks(9, true)).toEqual([10, 5, 0]);
    expect(ticks(0.9, false)).toEqual([1, 0.5, 0]);
  });
});
