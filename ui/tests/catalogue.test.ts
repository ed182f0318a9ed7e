import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import type { Alert } from '../src/api/types';
import { en } from '../src/i18n/en';
import { CATALOGUE, fill, message, type Locale } from '../src/i18n/message';
import { alertSentence, codeName } from '../src/i18n/sentence';

const SOURCE = join(import.meta.dirname, '../src');
const files = readdirSync(SOURCE, { recursive: true, encoding: 'utf8' })
  .filter((name) => /\.(svelte|ts)$/.test(name) && !name.startsWith('i18n'))
  .map((name) => ({ name, text: readFileSync(join(SOURCE, name), 'utf8') }));

const names = (text: string) => [...text.matchAll(/\{(\w+)[|}]/g)].map((found) => found[1]).sort();

describe('the catalogue', () => {
  it('has every message in every language, with the same parameters', () => {
    for (const locale of Object.keys(CATALOGUE) as Locale[]) {
      expect(Object.keys(CATALOGUE[locale]).sort()).toEqual(Object.keys(en).sort());
      for (const [key, text] of Object.entries(CATALOGUE[locale])) {
        expect(text.trim(), `${locale} ${key}`).not.toBe('');
        const wanted = new Set(names(en[key as keyof typeof en]));
        for (const name of names(text)) expect([...wanted], `${locale} ${key}`).toContain(name);
      }
    }
  });

  it('has every key that the source asks for', () => {
    const missing: string[] = [];
    for (const { name, text } of files)
      for (const [, key] of text.matchAll(/\bt\(\s*'([^']+)'/g))
        if (!(key! in en)) missing.push(`${name}: ${key}`);
    expect(missing).toEqual([]);
  });

  it('holds no message that nothing shows', () => {
    const all = files.map((file) => file.text).join('\n');
    const families = [/[`']([\w-]+(?:\.[\w-]+)*)\.\$\{/g, /\bword\(\s*'(\w+)'/g].flatMap((form) =>
      [...all.matchAll(form)].map((found) => `${found[1]}.`),
    );
    const dead = Object.keys(en).filter(
      (key) =>
        !all.includes(`'${key}'`) &&
        !families.some((family) => key.startsWith(family)) &&
        !/^(code|says)\./.test(key),
    );
    expect(dead).toEqual([]);
  });

  it('leaves no words outside it in the templates', () => {
    const stray: string[] = [];
    for (const { name, text } of files.filter((file) => file.name.endsWith('.svelte'))) {
      const markup = text
        .replace(/<script[\s\S]*?<\/script>/g, '')
        .replace(/<style[\s\S]*?<\/style>/g, '')
        .replace(/<!--[\s\S]*?-->/g, '')
        .replace(/\{(?:[^{}]|\{(?:[^{}]|\{[^{}]*\})*\})*\}/g, '')
        .replace(/=>/g, '');
      for (const [, words] of markup.matchAll(/>([^<>]+)</g))
        if (/[A-Za-zÀ-ÿ]{3,}/.test(words!)) stray.push(`${name}: ${words!.trim()}`);
    }
    expect(stray).toEqual([]);
  });

  it('chooses plurals by the language, and refuses a missing parameter', () => {
    expect(fill('en', '{n|1 alert|{n} alerts}', { n: 1 })).toBe('1 alert');
    expect(fill('en', '{n|1 alert|{n} alerts}', { n: 0 })).toBe('0 alerts');
    expect(fill('fr', '{n|une alerte|{n} alertes}', { n: 0 })).toBe('une alerte');
    expect(() => message('en', 'common.ago')).toThrow(/age/);
  });
});

const alert = (over: Partial<Alert>): Alert => ({
  id: 'x', code: 'seal-cut', severity: 'critical', mrn: 'M', equipment_id: 'MSKU1234565', device_id: 'D',
  subject: null, began_at: '', ended_at: null, raised_at: '', late: false, superseded: false, superseded_at: null, superseded_reason: null, count: 1,
  state: 'raised', triage: null, cause: null, acknowledged_by: null, lat_deg: null, lon_deg: null,
  says: 'the server says', facts: null, version: 1, ...over,
});

describe('alert sentences', () => {
  it('speak the language of the page, from code and facts', () => {
    expect(alertSentence('fr', alert({}))).toContain('MSKU1234565');
    const off = alert({ code: 'route-deviation', facts: { value: 2_640, unit: 'm', threshold: 2_000, zone: null, corridor: null } });
    expect(alertSentence('en', off).replaceAll('\u202f', ' ')).toBe('MSKU1234565 left its corridor, by up to 2.6 km.');
    expect(alertSentence('fr', off).replaceAll('\u202f', ' ')).toBe('MSKU1234565 a quitté son corridor, jusqu’à 2,6 km.');
  });

  it('tell whether a device itself reports jamming, or was without satellites', () => {
    const facts = { value: 0, peak: 0, unit: 's', threshold: null, zone: null, corridor: null };
    const jammed = alert({ code: 'gnss-jamming', severity: 'high', facts });
    expect(alertSentence('en', jammed)).toBe('The seal on MSKU1234565 itself reports that its satellites are jammed.');
    const lost = { ...jammed, facts: { ...facts, peak: 180, threshold: 120 } };
    expect(alertSentence('en', lost)).toContain('had no satellites for 3');
  });

  it('fall back to the server for a kind they do not know', () => {
    expect(alertSentence('fr', alert({ code: 'new-kind' }))).toBe('the server says');
    expect(codeName('fr', 'new-kind')).toBe('new-kind');
  });

  it('never need a fact that is missing', () => {
    for (const key of Object.keys(en).filter((one) => /^code\./.test(one)))
      for (const locale of ['en', 'fr'] as const)
        expect(alertSentence(locale, alert({ code: key.slice(5), device_id: null, equipment_id: null, mrn: null }))).not.toMatch(/[{}]|undefined|null/);
  });
});
