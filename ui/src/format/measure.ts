/**
 * Numbers as an operator reads them: with their unit, in the page's language, and never a zero that
 * nobody measured. Everything takes null for "not known" and gives null back.
 */
export type Maybe<T> = T | null | undefined;

const formats = new Map<string, Intl.NumberFormat>();

export function number(value: number, locale: string, digits = 0): string {
  const key = `${locale}/${digits}`;
  let format = formats.get(key);
  if (!format) {
    format = new Intl.NumberFormat(locale, {
      minimumFractionDigits: 0,
      maximumFractionDigits: digits,
    });
    formats.set(key, format);
  }
  return format.format(value);
}

const NARROW = '\u202f';

/** A value with any unit; without one where the unit is empty. */
export function measured(value: Maybe<number>, unit: string, locale: string, digits = 0): string | null {
  if (value === null || value === undefined || !Number.isFinite(value)) return null;
  return unit ? `${number(value, locale, digits)}${NARROW}${unit}` : number(value, locale, digits);
}

export const speed = (mps: Maybe<number>, locale: string) =>
  measured(mps === null || mps === undefined ? null : mps * 3.6, 'km/h', locale);

export const percent = (pct: Maybe<number>, locale: string) => measured(pct, '%', locale);
export const volts = (v: Maybe<number>, locale: string) => measured(v, 'V', locale, 2);
export const degrees = (deg: Maybe<number>, locale: string) => measured(deg, '°', locale);
export const celsius = (c: Maybe<number>, locale: string) => measured(c, '°C', locale, 1);
export const kilograms = (kg: Maybe<number>, locale: string) => measured(kg, 'kg', locale, 1);

export function distance(metres: Maybe<number>, locale: string): string | null {
  if (metres === null || metres === undefined) return null;
  return Math.abs(metres) < 1_000
    ? measured(metres, 'm', locale)
    : measured(metres / 1_000, 'km', locale, Math.abs(metres) < 100_000 ? 1 : 0);
}

/** 0 to 59 s, then min, then h and min, then d and h: two figures are enough to judge an age. */
export function duration(seconds: Maybe<number>, locale: string): string | null {
  if (seconds === null || seconds === undefined || !Number.isFinite(seconds)) return null;
  const whole = Math.max(0, Math.floor(seconds));
  const day = locale.startsWith('fr') ? 'j' : 'd';
  if (whole < 60) return `${number(whole, locale)}${NARROW}s`;
  if (whole < 3_600) return `${number(Math.floor(whole / 60), locale)}${NARROW}min`;
  if (whole < 86_400) {
    const minutes = Math.floor((whole % 3_600) / 60);
    return `${Math.floor(whole / 3_600)}${NARROW}h${minutes ? `${NARROW}${minutes}${NARROW}min` : ''}`;
  }
  const hours = Math.floor((whole % 86_400) / 3_600);
  const days = number(Math.floor(whole / 86_400), locale);
  return `${days}${NARROW}${day}${hours ? `${NARROW}${hours}${NARROW}h` : ''}`;
}

export function ageSeconds(at: Maybe<string>, nowMs: number): number | null {
  if (!at) return null;
  const ms = Date.parse(at);
  return Number.isNaN(ms) ? null : (nowMs - ms) / 1_000;
}

export function position(lat: Maybe<number>, lon: Maybe<number>, locale: string): string | null {
  if (lat === null || lat === undefined || lon === null || lon === undefined) return null;
  const one = (value: number, plus: string, minus: string) =>
    `${new Intl.NumberFormat(locale, { minimumFractionDigits: 5, maximumFractionDigits: 5 }).format(Math.abs(value))}°${NARROW}${value < 0 ? minus : plus}`;
  const west = locale.startsWith('fr') ? 'O' : 'W';
  return `${one(lat, 'N', 'S')} ${one(lon, 'E', west)}`;
}

/** A value with the unit that the alert's facts name; an unknown unit is shown as it came. */
export function withNamedUnit(
  value: Maybe<number>,
  unit: Maybe<string>,
  locale: string,
): string | null {
  if (value === null || value === undefined) return null;
  switch (unit) {
    case 'm':
      return distance(value, locale);
    case 's':
      return duration(value, locale);
    case 'min':
      return duration(value * 60, locale);
    case 'h':
      return duration(value * 3_600, locale);
    case 'mps':
    case 'm/s':
      return speed(value, locale);
    case 'km/h':
    case 'kmh':
    case 'kph':
      return measured(value, 'km/h', locale);
    case 'pct':
    case '%':
      return percent(value, locale);
    case 'c':
    case 'C':
    case 'degC':
    case '°C':
      return celsius(value, locale);
    case 'g':
      return measured(value, 'g', locale, 1);
    case 'v':
    case 'V':
      return volts(value, locale);
    default:
      return unit ? measured(value, unit, locale, 2) : number(value, locale, 2);
  }
}

/** A file's size: bytes, then kB and MB of a thousand each. */
export function size(bytes: number, locale: string): string {
  if (bytes < 1_000) return `${number(bytes, locale)}${NARROW}${locale.startsWith('fr') ? 'o' : 'B'}`;
  const unit = locale.startsWith('fr') ? 'o' : 'B';
  return bytes < 1e6
    ? `${number(bytes / 1e3, locale, bytes < 1e4 ? 1 : 0)}${NARROW}k${unit}`
    : `${number(bytes / 1e6, locale, 1)}${NARROW}M${unit}`;
}
