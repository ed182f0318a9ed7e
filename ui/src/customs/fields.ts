import { dayAndTime } from '../format/instant';
import { kilograms, number } from '../format/measure';
import { isKey, message, type Locale } from '../i18n/message';
import type { Plain } from './document';

/** A value of a document as an officer reads it: masses in kg, moments on the reader's clock, everything else as it was written. */
export function shownField(name: string, value: Plain, locale: Locale): string {
  if (Array.isArray(value)) return value.join(', ');
  if (typeof value === 'boolean') return message(locale, value ? 'common.yes' : 'common.no');
  if (typeof value === 'number') {
    if (name.endsWith('_kg')) return kilograms(value, locale) ?? '';
    if (name.endsWith('_m3')) return `${number(value, locale, 3)}\u202fm³`;
    return name.endsWith('_deg') ? `${number(value, locale, 6)}°` : number(value, locale, 3);
  }
  const text = value ?? '';
  if (name.endsWith('_at') && /T\d/.test(text) && !Number.isNaN(Date.parse(text))) return dayAndTime(Date.parse(text), locale);
  const key = `fieldValue.${name}.${text}`;
  return isKey(key) ? message(locale, key) : text;
}
