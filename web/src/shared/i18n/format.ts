import { useTranslation } from './useTranslation';

// Dates and numbers in the user's language, formatted by the browser's Intl.
export interface Formats {
  date: (value: string | Date) => string;
  day: (value: string) => string; // of a date without a time; independent of the time zone
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

/** Create a formatter on first use: creating one is slow. */
function onFirstUse<T>(make: () => T): () => T {
  let made: T | undefined;
  return () => (made ??= make());
}

function makeFormats(language: string): Formats {
  const dates = (options: Intl.DateTimeFormatOptions) => {
    const made = onFirstUse(() => new Intl.DateTimeFormat(language, options));
    return (value: string | Date) => made().format(new Date(value));
  };
  const numbers = (options?: Intl.NumberFormatOptions) => {
    const made = onFirstUse(() => new Intl.NumberFormat(language, options));
    return (value: number) => made().format(value);
  };
  const relative = onFirstUse(() => new Intl.RelativeTimeFormat(language, { numeric: 'auto' }));
  const sizes = ['byte', 'kilobyte', 'megabyte', 'gigabyte'].map((unit, place) =>
    numbers({ style: 'unit', unit, maximumFractionDigits: place > 1 ? 1 : 0 }),
  );
  return {
    date: dates({ dateStyle: 'medium' }),
    day: dates({ day: 'numeric', month: 'short', timeZone: 'UTC' }),
    dateTime: dates({ dateStyle: 'medium', timeStyle: 'short' }),
    relative: (value) => {
      const seconds = (new Date(value).getTime() - Date.now()) / 1000;
      const [unit, size] = STEPS.find(([, each]) => Math.abs(seconds) >= each) ?? ['second', 1];
      return relative().format(Math.round(seconds / size), unit);
    },
    number: numbers(),
    percent: numbers({ style: 'percent' }),
    seconds: numbers({ style: 'unit', unit: 'second', unitDisplay: 'narrow', maximumSignificantDigits: 2 }),
    bytes: (value) => {
      const place = Math.min(sizes.length - 1, Math.floor(Math.log10(Math.max(1, value)) / 3));
      return sizes[place]?.(value / 1000 ** place) ?? '';
    },
  };
}

const made = new Map<string, Formats>();

export function formats(language: string): Formats {
  const found = made.get(language) ?? makeFormats(language);
  made.set(language, found);
  return found;
}

export function useFormats(): Formats {
  const { i18n } = useTranslation();
  return formats(i18n.language);
}
