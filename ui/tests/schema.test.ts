// The observation's own table is read here, not a copy of it: a column that is added has to be named.
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { CATALOGUE, isKey, type Locale } from '../src/i18n/message';
import { ALARMS, columnName, GROUPS, shownValue } from '../src/views/observation';

const BACKEND = join(import.meta.dirname, '../../src/cocket');
const schema = readFileSync(join(BACKEND, 'core/schema.py'), 'utf8');
const columns = schema
  .slice(schema.indexOf('COLUMNS: Final'))
  .split(/\bColumn\(/)
  .slice(1)
  .map((text) => {
    const [, name, kind, unit] = /^\s*"(\w+)",\s*Kind\.(\w+),\s*"[^"]*"(?:,\s*"([^"]*)")?/.exec(text) ?? [];
    return { name: name!.replace(/_us$/, '_at'), kind: kind!, unit: unit ?? '', values: /values=(\w+)/.exec(text)?.[1] };
  });
const tuple = (name: string) =>
  [...new RegExp(`^${name}: Final = \\(([^)]*)\\)`, 'm').exec(schema)![1]!.matchAll(/"([^"]+)"/g)].map((found) => found[1]!);
const locales = Object.keys(CATALOGUE) as Locale[];

describe('every column of an observation', () => {
  it('is read from the schema', () => {
    expect(columns.length).toBeGreaterThan(60);
  });

  it('has a name in every language, and a group', () => {
    const grouped = GROUPS.flatMap(([, names]) => names);
    expect(columns.filter(({ name }) => !isKey(`col.${name}`)).map(({ name }) => name)).toEqual([]);
    expect([...grouped].sort()).toEqual(columns.map(({ name }) => name).sort());
    for (const locale of locales) expect(columnName('rope_cut', locale)).not.toBe('rope_cut');
  });

  it('is shown with its unit where it has one', () => {
    const shown: Record<string, string> = { 'm/s': 'km/h', m: 'm', '1/s': 's⁻¹', 'lx': 'lx' };
    for (const { name, kind, unit } of columns.filter((one) => one.unit && one.kind !== 'TIME'))
      for (const locale of locales)
        expect(shownValue(name, 12, locale), `${name} (${kind})`).toContain(shown[unit] ?? unit);
  });

  it('that takes one of some values has words for each', () => {
    const enums = columns.filter(({ kind }) => kind === 'ENUM');
    expect(enums.map(({ name }) => name)).toContain('time_quality');
    for (const { name, values } of enums)
      for (const value of tuple(values!)) expect(isKey(`value.${name}.${value}`), `${name}: ${value}`).toBe(true);
  });

  it('that is an alarm is one that can be true', () => {
    for (const name of ALARMS) expect(columns.find((one) => one.name === name)?.kind, name).toBe('BOOL');
  });
});

describe('every event of the gateway', () => {
  it('has its words', () => {
    const folder = join(BACKEND, 'gateway');
    const text = readdirSync(folder)
      .filter((name) => name.endsWith('.py'))
      .map((name) => readFileSync(join(folder, name), 'utf8'))
      .join('\n');
    const events = [
      ...[...text.matchAll(/counts\["([\w-]+)"\]/g)].map((found) => found[1]!),
      ...[...text.matchAll(/\.close\("([\w-]+)"\)/g)].map((found) => `closed-${found[1]!}`),
    ];
    expect(events.length).toBeGreaterThan(15);
    expect(events.filter((name) => !isKey(`event.${name}`))).toEqual([]);
  });
});
