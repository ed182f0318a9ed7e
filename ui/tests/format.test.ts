import { describe, expect, it } from 'vitest';
import { ageSeconds, celsius, distance, duration, percent, position, speed, withNamedUnit } from '../src/format/measure';
import { utc } from '../src/format/instant';

const plain = (text: string | null) => text?.replaceAll('\u202f', ' ') ?? null;

describe('measures', () => {
  it('never turns an unknown value into a number', () => {
    for (const format of [speed, percent, celsius, distance, duration]) {
      expect(format(null, 'en')).toBeNull();
      expect(format(undefined, 'en')).toBeNull();
    }
    expect(position(null, 114, 'en')).toBeNull();
    expect(withNamedUnit(null, 'm', 'en')).toBeNull();
  });

  it('shows speeds in km/h and distances in m or km', () => {
    expect(plain(speed(10, 'en'))).toBe('36 km/h');
    expect(plain(speed(0, 'en'))).toBe('0 km/h');
    expect(plain(distance(830, 'en'))).toBe('830 m');
    expect(plain(distance(2_640, 'en'))).toBe('2.6 km');
    expect(plain(distance(2_640, 'fr'))).toBe('2,6 km');
  });

  it('writes spans with two figures at most', () => {
    expect(plain(duration(0, 'en'))).toBe('0 s');
    expect(plain(duration(59.9, 'en'))).toBe('59 s');
    expect(plain(duration(60, 'en'))).toBe('1 min');
    expect(plain(duration(5_400, 'en'))).toBe('1 h 30 min');
    expect(plain(duration(7_200, 'en'))).toBe('2 h');
    expect(plain(duration(90_000, 'en'))).toBe('1 d 1 h');
    expect(plain(duration(90_000, 'fr'))).toBe('1 j 1 h');
  });

  it('follows the unit that the facts name', () => {
    expect(plain(withNamedUnit(20, 'mps', 'en'))).toBe('72 km/h');
    expect(plain(withNamedUnit(900, 's', 'en'))).toBe('15 min');
    expect(plain(withNamedUnit(13, 'pct', 'en'))).toBe('13 %');
    expect(plain(withNamedUnit(7, 'widgets', 'en'))).toBe('7 widgets');
  });

  it('measures ages from the given now, and times in UTC', () => {
    expect(ageSeconds('2026-11-20T00:00:00Z', Date.parse('2026-11-20T00:01:00Z'))).toBe(60);
    expect(ageSeconds('not a time', 0)).toBeNull();
    expect(utc(Date.parse('2026-11-20T12:03:04Z'))).toBe('2026-11-20 12:03:04 UTC');
  });
});
