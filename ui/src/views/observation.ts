import { celsius, degrees, distance, number, percent, speed, volts } from '../format/measure';
import type { MessageKey } from '../i18n/message';

/** The columns of an observation, grouped as a person asks for them. */
export const GROUPS: [MessageKey, string[]][] = [
  ['group.position', ['lat_deg', 'lon_deg', 'speed_mps', 'course_deg', 'altitude_m', 'fix_valid', 'fix_source', 'hdop']],
  ['group.seal', ['locked', 'rope_inserted', 'rope_cut', 'casing_open', 'unlock_method', 'card_id', 'wrong_password', 'motor_stuck']],
  ['group.power', ['battery_pct', 'battery_v', 'external_power', 'charging', 'gsm_signal']],
  ['group.environment', ['temp_c', 'humidity_pct', 'light_lux', 'shock_g', 'door_open']],
  ['group.times', ['observed_at', 'received_at', 'time_quality', 'delayed']],
  ['group.read', ['code', 'symbology', 'confidence', 'reader_id']],
  ['group.identity', ['device_id', 'sequence', 'source', 'raw_ref']],
];

/** A value of a column as it is shown; null if it is not known. Times are left to the caller. */
export function shownValue(column: string, value: unknown, locale: string, yes: string, no: string): string | null {
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'boolean') return value ? yes : no;
  if (typeof value === 'number') {
    if (column === 'speed_mps') return speed(value, locale);
    if (column.endsWith('_pct')) return percent(value, locale);
    if (column === 'temp_c') return celsius(value, locale);
    if (column === 'battery_v') return volts(value, locale);
    if (column === 'course_deg') return degrees(value, locale);
    if (column === 'altitude_m') return distance(value, locale);
    if (column.endsWith('_deg'))
      return `${new Intl.NumberFormat(locale, { minimumFractionDigits: 5, maximumFractionDigits: 5 }).format(value)}°`;
    if (column === 'light_lux') return `${number(value, locale)} lx`;
    if (column === 'shock_g') return `${number(value, locale, 2)} g`;
    if (column === 'sequence') return String(value);
    return number(value, locale, 2);
  }
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
