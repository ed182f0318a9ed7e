import { en, type MessageKey } from './en';
import { fr } from './fr';

export type { MessageKey } from './en';
export type Locale = 'en' | 'fr';

export const LOCALES: Record<Locale, { name: string; dir: 'ltr' | 'rtl' }> = {
  en: { name: 'English', dir: 'ltr' },
  fr: { name: 'Français', dir: 'ltr' },
};

export const CATALOGUE: Record<Locale, Record<MessageKey, string>> = { en, fr };

export function isKey(key: string): key is MessageKey {
  return Object.hasOwn(en, key);
}

export type Params = Record<string, string | number>;

/**
 * Fills a message in. `{name}` is replaced; `{n|one|other}` chooses by the number n, by the plural
 * rules of the language, and may itself hold `{n}`. A missing parameter is a programming error.
 */
export function fill(locale: Locale, text: string, params: Params = {}): string {
  const value = (name: string): string => {
    const found = params[name];
    if (found === undefined) throw new Error(`message wants {${name}}: ${text}`);
    return typeof found === 'number' ? new Intl.NumberFormat(locale).format(found) : found;
  };
  return text
    .replace(/\{(\w+)\|((?:[^{}|]|\{\w+\})*)\|((?:[^{}|]|\{\w+\})*)\}/g, (_, name, one, other) =>
      new Intl.PluralRules(locale).select(Number(params[name as string])) === 'one'
        ? (one as string)
        : (other as string),
    )
    .replace(/\{(\w+)\}/g, (_, name: string) => value(name));
}

export function message(locale: Locale, key: MessageKey, params?: Params): string {
  return fill(locale, CATALOGUE[locale][key], params);
}
