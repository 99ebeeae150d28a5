import { describe, expect, it } from 'vitest';

const files = import.meta.glob<Record<string, unknown>>('./messages/*/*.json', { eager: true, import: 'default' });

function keys(value: unknown, path = ''): string[] {
  if (typeof value !== 'object' || value === null) return [path];
  return Object.entries(value).flatMap(([name, inner]) => keys(inner, path ? `${path}.${name}` : name));
}

const english = Object.keys(files).filter((path) => path.includes('/en/'));

describe('messages', () => {
  it.each(english)('%s has the same keys in German', (path) => {
    const german = files[path.replace('/en/', '/de/')];
    expect(keys(german).sort()).toEqual(keys(files[path]).sort());
  });

  it.each(english)('%s has the same placeholders in German', (path) => {
    const placeholders = (value: unknown) => [...JSON.stringify(value).matchAll(/\{\{\w+\}\}/g)].map(String).sort();
    expect(placeholders(files[path.replace('/en/', '/de/')])).toEqual(placeholders(files[path]));
  });
});
