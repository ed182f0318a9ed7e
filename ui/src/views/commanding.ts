import { isKey, message, type Locale } from '../i18n/message';

/** A command of a protocol in words; one that this page does not know by its own name. */
export function commandName(name: string, locale: Locale): string {
  const key = `commandName.${name}`;
  return isKey(key) ? message(locale, key) : name;
}

export function parameterName(name: string, locale: Locale): string {
  const key = `parameter.${name}`;
  return isKey(key) ? message(locale, key) : name;
}

/**
 * What was typed as the parameters that the server takes: a whole number is sent as a number, other
 * text and every password as it stands, an empty field not at all.
 */
export function parametersOf(names: string[], typed: Record<string, string>): Record<string, string | number> {
  const found: Record<string, string | number> = {};
  for (const name of names) {
    const text = typed[name]?.trim() ?? '';
    if (!text) continue;
    found[name] = name !== 'password' && /^(0|[1-9]\d{0,14})$/.test(text) ? Number(text) : text;
  }
  return found;
}
