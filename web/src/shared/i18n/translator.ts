// Messages by language and namespace, and the texts made of them. A message may have {{placeholders}} and, for a
// count, a form for each plural category (_one, _other). What a language lacks is taken from English.

/** Texts, groups of them, and lists: what a file of messages holds. */
export type Messages = Readonly<Record<string, unknown>>;

export interface Values {
  [name: string]: unknown;
  count?: number;
  defaultValue?: string;
}

/** The text of a key: "key", "group.key" or "namespace:group.key". The key itself where there is no text. */
export type Translate = (key: string, values?: Values) => string;

type Load = (language: string, namespace: string) => Promise<Messages>;

const FALLBACK = 'en';

export class Translator {
  language = FALLBACK;
  readonly #load: Load;
  readonly #messages = new Map<string, Messages>(); // by "language/namespace"
  readonly #loading = new Map<string, Promise<void>>();
  readonly #failed = new Set<string>();
  readonly #namespaces = new Set<string>(); // that were asked for
  readonly #translates = new Map<string, Translate>();
  readonly #plurals = new Map<string, Intl.PluralRules>();
  readonly #listeners = new Set<(language: string) => void>();

  constructor(load: Load, bundled: Record<string, Messages>) {
    this.#load = load;
    for (const [namespace, messages] of Object.entries(bundled)) {
      this.#messages.set(`${FALLBACK}/${namespace}`, messages);
      this.#namespaces.add(namespace);
    }
  }

  /** Call back when the language has changed. Returns what ends it. */
  readonly onChange = (listener: (language: string) => void): (() => void) => {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  };

  /** Whether there is nothing to wait for: what could not be loaded is shown in English, or by its keys. */
  has(namespaces: readonly string[]): boolean {
    const names = namespaces.map((each) => `${this.language}/${each}`);
    return names.every((each) => this.#messages.has(each) || this.#failed.has(each));
  }

  /** Load the messages of namespaces in the current language. Rejects where they cannot be loaded. */
  async loadNamespaces(namespaces: string | readonly string[]): Promise<void> {
    await Promise.all([namespaces].flat().map((each) => this.#ensure(this.language, each)));
  }

  /** Load everything that was asked for in a language, too, and speak it. What is missing stays English. */
  async changeLanguage(language: string): Promise<void> {
    await this.loadLanguage(language);
    this.language = language;
    for (const listener of this.#listeners) listener(language);
  }

  async loadLanguage(language: string): Promise<void> {
    await Promise.allSettled([...this.#namespaces].map((each) => this.#ensure(language, each)));
  }

  /** The function that translates keys of these namespaces; the same one each time. */
  translate(namespaces: readonly string[], language: string = this.language): Translate {
    const name = `${language}/${namespaces.join()}`;
    const found = this.#translates.get(name) ?? ((key, values = {}) => this.#text(language, namespaces, key, values));
    this.#translates.set(name, found);
    return found;
  }

  /** A group or a list of messages, as its file has it. */
  content(namespace: string, path: string): unknown {
    return at(this.#messages.get(`${this.language}/${namespace}`), path) ?? at(this.#messages.get(`${FALLBACK}/${namespace}`), path);
  }

  async #ensure(language: string, namespace: string): Promise<void> {
    this.#namespaces.add(namespace);
    const name = `${language}/${namespace}`;
    if (this.#messages.has(name)) return;
    let loading = this.#loading.get(name);
    if (!loading) {
      loading = this.#fetch(name, language, namespace).finally(() => this.#loading.delete(name));
      this.#loading.set(name, loading);
    }
    await loading;
  }

  async #fetch(name: string, language: string, namespace: string): Promise<void> {
    try {
      this.#messages.set(name, await this.#load(language, namespace));
    } catch (error) {
      this.#failed.add(name); // whoever asks again tries again
      throw error;
    }
  }

  #text(language: string, namespaces: readonly string[], key: string, values: Values): string {
    const [, own, path = key] = /^(\w+):(.*)$/.exec(key) ?? [];
    const message = this.#message(language, own ? [own] : namespaces, path, values.count);
    const text = message ?? values.defaultValue ?? path;
    return text.replace(/\{\{\s*(\w+)\s*\}\}/g, (_, name: string) => String(values[name] ?? ''));
  }

  #message(language: string, namespaces: readonly string[], path: string, count: number | undefined): string | undefined {
    for (const each of new Set([language, FALLBACK])) {
      const keys = count === undefined ? [path] : [`${path}_${this.#category(each, count)}`, `${path}_other`, path];
      for (const namespace of namespaces) {
        for (const key of keys) {
          const found = at(this.#messages.get(`${each}/${namespace}`), key);
          if (typeof found === 'string') return found;
        }
      }
    }
    return undefined;
  }

  #category(language: string, count: number): Intl.LDMLPluralRule {
    const rules = this.#plurals.get(language) ?? new Intl.PluralRules(language);
    this.#plurals.set(language, rules);
    return rules.select(count);
  }
}

function at(messages: Messages | undefined, path: string): unknown {
  return path.split('.').reduce<unknown>((found, name) => (found as Messages | undefined)?.[name], messages);
}
