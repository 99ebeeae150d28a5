import Box from '@mui/material/Box';
import Typography from '@mui/material/Typography';
import { useTranslation } from 'react-i18next';
import { useFormats } from '@/shared/i18n/format';

interface Series {
  name: string;
  values: number[];
}

interface ChartProps {
  title: string;
  labels: string[]; // dates
  series: Series[];
}

const WIDTH = 600;
const HEIGHT = 180;
const COLOURS = ['var(--mui-palette-primary-main)', 'var(--mui-palette-secondary-main)'] as const;

/** Bars of each day, side by side; the numbers stand in a table for whoever cannot see bars. */
export function Chart({ title, labels, series }: ChartProps) {
  const { t } = useTranslation('dashboard');
  const formats = useFormats();
  const most = Math.max(1, ...series.flatMap((each) => each.values));
  const step = WIDTH / Math.max(1, labels.length);
  const bar = (step * 0.7) / series.length;
  const first = labels[0];
  const last = labels.at(-1);
  return (
    <Box component="figure" sx={{ m: 0, border: 1, borderColor: 'divider', borderRadius: '14px', p: 2, bgcolor: 'background.paper', minWidth: 0 }}>
      <Box component="figcaption" sx={{ display: 'flex', justifyContent: 'space-between', gap: 2, mb: 1 }}>
        <Typography variant="h3" component="h2">
          {title}
        </Typography>
        <Typography variant="body2" color="textSecondary">
          {t('most', { count: most })}
        </Typography>
      </Box>
      <svg viewBox={`0 0 ${WIDTH} ${HEIGHT}`} width="100%" role="img" aria-label={title} preserveAspectRatio="none" height={HEIGHT}>
        {series.map((each, place) =>
          each.values.map((value, day) => {
            const height = (value / most) * (HEIGHT - 4);
            return (
              <rect
                key={`${each.name} ${labels[day] ?? day}`}
                x={day * step + step * 0.15 + place * bar}
                y={HEIGHT - height}
                width={bar}
                height={height}
                fill={COLOURS[place % COLOURS.length]}
              />
            );
          }),
        )}
        <line x1="0" x2={WIDTH} y1={HEIGHT - 0.5} y2={HEIGHT - 0.5} stroke="currentColor" strokeOpacity="0.3" />
      </svg>
      <Box sx={{ display: 'flex', justifyContent: 'space-between' }}>
        <Typography variant="body2" color="textSecondary">
          {first ? formats.date(first) : ''}
        </Typography>
        <Typography variant="body2" color="textSecondary">
          {last ? formats.date(last) : ''}
        </Typography>
      </Box>
      {series.length > 1 ? (
        <Box sx={{ display: 'flex', gap: 2 }}>
          {series.map((each, place) => (
            <Typography key={each.name} variant="body2" sx={{ display: 'flex', alignItems: 'center', gap: 0.75 }}>
              <Box component="span" sx={{ width: 12, height: 12, borderRadius: '3px' }} style={{ background: COLOURS[place % COLOURS.length] }} />
              {each.name}
            </Typography>
          ))}
        </Box>
      ) : null}
      <details>
        <Typography component="summary" variant="body2" sx={{ cursor: 'pointer', mt: 1 }}>
          {t('numbers')}
        </Typography>
        <table>
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
                <th scope="row">{formats.date(label)}</th>
                {series.map((each) => (
                  <td key={each.name}>{formats.number(each.values[day] ?? 0)}</td>
                ))}
              </tr>
            ))}
          </tbody>
        </table>
      </details>
    </Box>
  );
}
