import { celsius, degrees, distance, measured, percent, speed, volts } from '../format/measure';
import { isKey, message, type Locale, type MessageKey } from '../i18n/message';

/** The columns of an observation, grouped as a person asks for them. */
export const GROUPS: [MessageKey, string[]][] = [
  ['group.conduct', ['connected_twice', 'moved_impossibly', 'sequence_replayed', 'identity_changed']],
  ['group.position', ['lat_deg', 'lon_deg', 'speed_mps', 'course_deg', 'heading_deg', 'altitude_m', 'fix_valid', 'fix_source', 'satellites', 'hdop', 'odometer_m', 'fence_entered', 'fence_left']],
  ['group.seal', ['locked', 'rope_inserted', 'rope_cut', 'casing_open', 'unlock_alarm', 'unlock_method', 'card_id', 'card_refused', 'wrong_password', 'motor_stuck', 'vibration']],
  ['group.power', ['battery_pct', 'battery_v', 'battery_low', 'external_power', 'charging', 'ignition', 'gsm_signal', 'jamming', 'sos']],
  ['group.environment', ['temp_c', 'temp_set_c', 'temp_supply_c', 'temp_ambient_c', 'humidity_pct', 'o2_pct', 'co2_pct', 'light_lux', 'shock_g', 'door_open']],
  ['group.radiation', ['radiation_alarm', 'dose_rate_usvh', 'gamma_cps', 'neutron_cps', 'nuclide']],
  ['group.vessel', ['vessel_name', 'imo', 'call_sign', 'ship_type', 'nav_status', 'draught_m', 'destination']],
  ['group.read', ['code', 'symbology', 'confidence', 'rssi_dbm', 'reader_id', 'equipment_id']],
  ['group.times', ['observed_at', 'received_at', 'time_quality', 'delayed']],
  ['group.identity', ['device_id', 'sequence', 'source', 'raw_ref']],
];

/** What is an alarm of its own when it is true. */
export const ALARMS: readonly string[] = [
  'rope_cut', 'casing_open', 'unlock_alarm', 'card_refused', 'wrong_password', 'motor_stuck', 'battery_low', 'jamming', 'sos',
  'radiation_alarm', 'connected_twice', 'moved_impossibly', 'sequence_replayed', 'identity_changed',
];

export function columnName(column: string, locale: Locale): string {
  const key = `col.${column}`;
  return isKey(key) ? message(locale, key) : column;
}

type Shown = (value: number, locale: string) => string | null;
const PLACE: Shown = (value, locale) =>
  `${new Intl.NumberFormat(locale, { minimumFractionDigits: 5, maximumFractionDigits: 5 }).format(value)}°`;
const AS_IS: Shown = (value) => String(value);

/** Columns that are not shown by the ending of their names. */
const OWN: Record<string, Shown> = {
  lat_deg: PLACE,
  lon_deg: PLACE,
  sequence: AS_IS,
  gsm_signal: percent,
  o2_pct: (value, locale) => measured(value, '%', locale, 1),
  co2_pct: (value, locale) => measured(value, '%', locale, 1),
  draught_m: (value, locale) => measured(value, 'm', locale, 1),
  ship_type: (value, locale) => {
    const name = [`value.ship_type.${value}`, `value.ship_type.${Math.floor(value / 10)}x`].find(isKey);
    return name ? `${message(locale as Locale, name)} (${value})` : String(value);
  },
};
const BY_ENDING: [string, Shown][] = [
  ['_mps', speed],
  ['_pct', percent],
  ['_deg', degrees],
  ['_c', celsius],
  ['_v', volts],
  ['_m', distance],
  ['_lux', (value, locale) => measured(value, 'lx', locale)],
  ['_g', (value, locale) => measured(value, 'g', locale, 2)],
  ['_cps', (value, locale) => measured(value, 's⁻¹', locale, 1)],
  ['_usvh', (value, locale) => measured(value, 'µSv/h', locale, 3)],
  ['_dbm', (value, locale) => measured(value, 'dBm', locale)],
];

/** A value of a column as it is shown; null if it is not known. Times are left to the caller. */
export function shownValue(column: string, value: unknown, locale: Locale): string | null {
  if (value === null || value === undefined || value === '') return null;
  if (typeof value === 'boolean') return message(locale, value ? 'common.yes' : 'common.no');
  if (typeof value === 'number') {
    const shown = OWN[column] ?? BY_ENDING.find(([ending]) => column.endsWith(ending))?.[1];
    return shown ? shown(value, locale) : measured(value, '', locale, 2);
  }
  const key = `value.${column}.${String(value)}`;
  if (isKey(key)) return message(locale, key);
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
}
