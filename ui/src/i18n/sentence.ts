import type { Alert } from '../api/types';
import { number, withNamedUnit } from '../format/measure';
import { isKey, message, type Locale, type Params } from './message';

/** The name of an alert's kind; a kind this page does not know yet is shown by its code. */
export function codeName(locale: Locale, code: string): string {
  const key = `code.${code}`;
  return isKey(key) ? message(locale, key) : code;
}

/**
 * An alert in one sentence of the page's language, from its code and its facts. The server's own
 * sentence is used for a kind this page does not know.
 */
export function alertSentence(locale: Locale, alert: Alert): string {
  const base = `says.${alert.code}`;
  if (!isKey(base)) return alert.says;
  const params: Params = {
    equipment: alert.equipment_id ?? alert.device_id ?? alert.mrn ?? '—',
    device: alert.device_id ?? '—',
  };
  const facts = alert.facts;
  const zone = facts?.zone ?? alert.subject;
  if (zone) params['zone'] = zone;
  const value = facts?.peak ?? facts?.value ?? null;
  const unit = facts?.unit ?? null;
  // A value without a unit is a plain count; only the wrong passwords are counted.
  const measured =
    unit && unit !== 'count' && unit !== 'tries'
      ? withNamedUnit(value, unit, locale)
      : value !== null && alert.code === 'wrong-password'
        ? number(value, locale)
        : null;
  if (measured !== null) params['value'] = measured;
  const bySeverity = `${base}.${alert.severity}`;
  if (isKey(bySeverity)) return message(locale, bySeverity, params);
  // The device's own alarm is held against no limit.
  const told = `${base}.told`;
  if (facts && facts.threshold === null && isKey(told)) return message(locale, told, params);
  for (const fact of ['value', 'zone'] as const) {
    const key = `${base}.${fact}`;
    if (params[fact] !== undefined && isKey(key)) return message(locale, key, params);
  }
  return message(locale, base, params);
}
