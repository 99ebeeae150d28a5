import { useTranslation } from 'react-i18next';

// Dates and numbers in the reader's language, through the browser's own Intl.
export interface Formats {
  date: (value: string | Date) => string;
  day: (value: string) => string; // of a date without a time, the same wherever one is
  dateTime: (value: string | Date) => string;
  relative: (value: string | Date) => string;
  number: (value: number) => string;
  percent: (value: number) => string;
  seconds: (value: number) => string;
  bytes: (value: number) => string;
}

const STEPS: [Intl.RelativeTimeFormatUnit, number][] = [
  ['year', 31_536_000],
  ['month', 2_592_000],
  ['week', 604_800],
  ['day', 86_400],
  ['hour', 3_600],
  ['minute', 60],
];

export function formats(language: string): Formats {
  const number = new Intl.NumberFormat(language);
  return {
    date: (value) => new Intl.DateTimeFormat(language, { dateStyle: 'medium' }).format(new Date(value)),
    day: (value) => new Intl.DateTimeFormat(language, { day: 'numeric', month: 'short', timeZone: 'UTC' }).format(new Date(value)),
    dateTime: (value) =>
      new Intl.DateTimeFormat(language, { dateStyle: 'medium', timeStyle: 'short' }).format(new Date(value)),
    relative: (value) => {
      const seconds = (new Date(value).getTime() - Date.now()) / 1000;
      const words = new Intl.RelativeTimeFormat(language, { numeric: 'auto' });
      for (const [unit, size] of STEPS) {
        if (Math.abs(seconds) >= size) return words.format(Math.round(seconds / size), unit);
      }
      return words.format(Math.round(seconds), 'second');
    },
    number: (value) => number.format(value),
    percent: (value) => new Intl.NumberFormat(language, { style: 'percent' }).format(value),
    seconds: (value) =>
      new Intl.NumberFormat(language, { style: 'unit', unit: 'second', unitDisplay: 'narrow', maximumSignificantDigits: 2 }).format(value),
    bytes: (value) => {
      const units = ['byte', 'kilobyte', 'megabyte', 'gigabyte'];
      const place = Math.min(units.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
      return new Intl.NumberFormat(language, {
        style: 'unit',
        unit: units[place],
        maximumFractionDigits: place > 1 ? 1 : 0,
      }).format(value / 1000 ** place);
    },
  };
}

export function useFormats(): Formats {
  const { i18n } = useTranslation();
  return formats(i18n.resolvedLanguage ?? 'en');
}
