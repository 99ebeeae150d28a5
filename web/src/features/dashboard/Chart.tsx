import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useTranslation } from '@/shared/i18n/useTranslation';
import { useFormats } from '@/shared/i18n/format';
import { ticks } from './scale';

interface Series {
  name: string;
  values: (number | null)[]; // null: no data for that day
}

interface ChartProps {
  title: string;
  total?: string; // the formatted sum
  labels: string[]; // dates
  series: Series[];
  kind?: 'bars' | 'lines';
  format?: (value: number) => string; // for values that are not counts
}

// The SVG is stretched to its container; only line widths stay constant.
const WIDTH = 600;
const HEIGHT = 160;
const COLOURS = ['var(--mui-palette-primary-main)', 'var(--mui-palette-secondary-main)'] as const;

const colour = (place: number) => COLOURS[place % COLOURS.length];

/** Daily values as bars or lines, with the numbers in a table for screen readers. */
export function Chart({ title, total, labels, series, kind = 'bars', format }: ChartProps) {
  const { t } = useTranslation('dashboard');
  const formats = useFormats();
  const formatValue = format ?? formats.number;
  const known = series.flatMap((each) => each.values.filter((value) => value !== null));
  const lines = ticks(Math.max(0, ...known), format === undefined);
  const top = lines[0] ?? 1;
  const step = WIDTH / Math.max(1, labels.length);
  const height = (value: number) => (value / top) * HEIGHT;
  const middle = labels.length > 2 ? labels[Math.floor(labels.length / 2)] : undefined;
  return (
    <Box
      component="figure"
      sx={{ m: 0, border: 1, borderColor: 'divider', borderRadius: '14px', p: { xs: 2, sm: 2.5 }, bgcolor: 'background.paper', minWidth: 0 }}
    >
      <Box component="figcaption" sx={{ display: 'flex', justifyContent: 'space-between', alignItems: 'baseline', gap: 2, mb: 1.5 }}>
        <Typography variant="h3" component="h2">
          {title}
        </Typography>
        <Typography variant="body2" color="textSecondary" sx={{ whiteSpace: 'nowrap' }}>
          {total}
        </Typography>
      </Box>
      <Box sx={{ display: 'grid', gridTemplateColumns: 'auto 1fr', columnGap: 1 }}>
        <Box aria-hidden sx={{ display: 'flex', flexDirection: 'column', justifyContent: 'space-between', textAlign: 'right', my: '-0.6em' }}>
          {lines.map((line) => (
            <Typography key={line} variant="caption" color="textSecondary" sx={{ lineHeight: '1.2em', whiteSpace: 'nowrap' }}>
              {formatValue(line)}
            </Typography>
          ))}
        </Box>
        <Box sx={{ position: 'relative', height: HEIGHT, color: 'divider' }}>
          <svg
            viewBox={`0 0 ${WIDTH} ${HEIGHT}`}
            width="100%"
            height={HEIGHT}
            role="img"
            aria-label={[title, total].filter(Boolean).join(': ')}
            preserveAspectRatio="none"
            style={{ display: 'block', overflow: 'visible' }}
          >
            {lines.map((line) => (
              <line
                key={line}
                x1="0"
                x2={WIDTH}
                y1={HEIGHT - height(line)}
                y2={HEIGHT - height(line)}
                stroke="currentColor"
                vectorEffect="non-scaling-stroke"
              />
            ))}
            {series.map((each, place) =>
              kind === 'bars' ? (
                <Bars key={each.name} values={each.values} place={place} of={series.length} step={step} height={height} />
              ) : (
                <path
                  key={each.name}
                  d={outline(each.values, step, height)}
                  fill="none"
                  stroke={colour(place)}
                  strokeWidth="2"
                  strokeLinejoin="round"
                  strokeLinecap="round"
                  vectorEffect="non-scaling-stroke"
                />
              ),
            )}
            {labels.map((label, day) => (
              <rect key={label} x={day * step} width={step} height={HEIGHT} fill="transparent">
                <title>
                  {[formats.day(label), ...series.map((each) => `${each.name}: ${shown(each.values[day], formatValue)}`)].join('\n')}
                </title>
              </rect>
            ))}
          </svg>
        </Box>
        <span />
        <Box aria-hidden sx={{ display: 'flex', justifyContent: 'space-between', mt: 0.75 }}>
          {[labels[0], middle, labels.at(-1)].map((label, place) => (
            <Typography key={place} variant="caption" color="textSecondary">
              {label ? formats.day(label) : ''}
            </Typography>
          ))}
        </Box>
      </Box>
      <Box sx={{ display: 'flex', flexWrap: 'wrap', columnGap: 2, alignItems: 'center', minHeight: 28, mt: 1 }}>
        {series.length > 1
          ? series.map((each, place) => (
              <Typography key={each.name} variant="body2" sx={{ display: 'flex', alignItems: 'center', gap: 0.75 }}>
                <Box component="span" sx={{ width: 12, height: kind === 'bars' ? 12 : 3, borderRadius: '3px' }} style={{ background: colour(place) }} />
                {each.name}
              </Typography>
            ))
          : null}
      </Box>
      <Box component="details" sx={{ mt: 0.5, '& table': { width: '100%', borderCollapse: 'collapse', mt: 1, fontVariantNumeric: 'tabular-nums' } }}>
        <Typography component="summary" variant="body2" color="textSecondary" sx={{ cursor: 'pointer', py: 0.5 }}>
          {t('numbers')}
        </Typography>
        <Box component="table" sx={{ typography: 'body2', '& th, & td': { textAlign: 'right', py: 0.5, borderTop: 1, borderColor: 'divider', fontWeight: 400 }, '& th:first-of-type': { textAlign: 'left' } }}>
          <thead>
            <tr>
              <th scope="col">{t('day')}</th>
              {series.map((each) => (
                <th scope="col" key={each.name}>
                  {each.name}
                </th>
              ))}
            </tr>
          </thead>
          <tbody>
            {labels.map((label, day) => (
              <tr key={label}>
                <th scope="row">{formats.day(label)}</th>
                {series.map((each) => (
                  <td key={each.name}>{shown(each.values[day], formatValue)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </Box>
      </Box>
    </Box>
  );
}

function shown(value: number | null | undefined, formatValue: (value: number) => string): string {
  return value === null || value === undefined ? '–' : formatValue(value);
}

interface BarsProps {
  values: (number | null)[];
  place: number;
  of: number;
  step: number;
  height: (value: number) => number;
}

/** The bars of one series; several series are drawn side by side. */
function Bars({ values, place, of, step, height }: BarsProps) {
  const width = (step * 0.72) / of;
  return values.map((value, day) => (
    <rect
      key={day}
      x={day * step + step * 0.14 + place * width}
      y={HEIGHT - height(value ?? 0)}
      width={width}
      height={height(value ?? 0)}
      fill={colour(place)}
    />
  ));
}

/** A line through the days with data, interrupted where data is missing. */
function outline(values: (number | null)[], step: number, height: (value: number) => number): string {
  let isOn = false;
  return values
    .map((value, day) => {
      if (value === null) {
        isOn = false;
        return '';
      }
      const point = `${isOn ? 'L' : 'M'}${(day + 0.5) * step} ${HEIGHT - height(value)}`;
      isOn = true;
      return (values[day + 1] ?? null) === null && (values[day - 1] ?? null) === null ? `${point} h0.01` : point;
    })
    .join(' ');
}
