import { describe, expect, it, vi } from 'vitest';
import { Translator, type Messages } from './translator';

const MESSAGES: Record<string, Messages> = {
  'en/page': { greeting: 'Hello, {{name}}', photos_one: '{{count}} photo', photos_other: '{{count}} photos', only: { here: 'English' }, list: ['a', 'b'] },
  'de/page': { greeting: 'Hallo, {{name}}', photos_one: '{{count}} Foto', photos_other: '{{count}} Fotos' },
  'de/common': { yes: 'Ja' },
};

function make(load = (language: string, namespace: string) => Promise.resolve(MESSAGES[`${language}/${namespace}`] ?? Promise.reject(new Error('gone')))) {
  return new Translator(load as (language: string, namespace: string) => Promise<Messages>, { common: { yes: 'Yes', no: 'No' } });
}

describe('Translator', () => {
  it('fills placeholders and chooses plural forms by language', async () => {
    const i18n = make();
    await i18n.loadNamespaces('page');
    const t = i18n.translate(['page', 'common']);
    expect(t('greeting', { name: 'Ann' })).toBe('Hello, Ann');
    expect([0, 1, 2].map((count) => t('photos', { count }))).toEqual(['0 photos', '1 photo', '2 photos']);
    expect([t('yes'), t('common:no'), t('page:only.here')]).toEqual(['Yes', 'No', 'English']);
    expect(i18n.content('page', 'list')).toEqual(['a', 'b']);
    expect([t('only.there'), t('only.there', { defaultValue: 'there' }), t('only')]).toEqual(['only.there', 'there', 'only']);
  });

  it('speaks another language everywhere at once, and English where that lacks a text', async () => {
    const i18n = make();
    await i18n.loadNamespaces('page');
    const changed = vi.fn();
    const end = i18n.onChange(changed);
    await i18n.changeLanguage('de');
    expect(changed).toHaveBeenCalledWith('de');
    const t = i18n.translate(['page', 'common']);
    expect([t('photos', { count: 1 }), t('only.here'), t('yes'), t('no')]).toEqual(['1 Foto', 'English', 'Ja', 'No']);
    expect(i18n.translate(['page', 'common'])).toBe(t);
    end();
    await i18n.changeLanguage('en');
    expect(changed).toHaveBeenCalledTimes(1);
  });

  it('tries again what could not be loaded', async () => {
    const load = vi.fn().mockRejectedValueOnce(new Error('offline')).mockResolvedValue(MESSAGES['en/page']);
    const i18n = make(load);
    expect(i18n.has(['page'])).toBe(false);
    await expect(i18n.loadNamespaces('page')).rejects.toThrow('offline');
    expect(i18n.translate(['page'])('greeting')).toBe('greeting');
    await Promise.all([i18n.loadNamespaces('page'), i18n.loadNamespaces('page')]);
    expect(i18n.has(['page'])).toBe(true);
    expect(load).toHaveBeenCalledTimes(2);
  });
});
