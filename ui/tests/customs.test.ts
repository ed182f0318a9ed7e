// The customs file's pure parts; and the server's own tables of events, states and fields are read here, not copies of them.
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { ApiProblem, NoAnswer } from '../src/api/client';
import type { Enquiry, MovementEvent, NewScan, Scan } from '../src/api/customs-types';
import { byUrgency, nearest } from '../src/customs/deadlines';
import { read } from '../src/customs/decoder';
import { contentOf, partsOf, plainOf, type CanonicalDocument } from '../src/customs/document';
import { detailsOf, fieldsOf, missing, ordered, plainAmount, standingOf, STATES } from '../src/customs/events';
import { shownField } from '../src/customs/fields';
import { flagParts } from '../src/customs/flags';
import { inWords, newestFirst } from '../src/customs/history';
import { isEcho, isOwnUse, ScanQueue, type Verdict } from '../src/customs/scan-queue';
import { SEAL_STATES } from '../src/customs/seals';
import { fieldOf, momentOf } from '../src/format/local';
import { size } from '../src/format/measure';
import { money, share } from '../src/format/money';
import { isKey } from '../src/i18n/message';
import { audienceOf, parseRoute, to } from '../src/state/address';

const BACKEND = join(import.meta.dirname, '../../src/cocket/customs');
const source = (name: string) => readFileSync(join(BACKEND, name), 'utf8');
const strings = (text: string) => [...text.matchAll(/"([a-z][a-z-]*)"/g)].map((found) => found[1]!);

describe('the tables of the server', () => {
  const events = (name: string) => [...source(`machines/${name}.py`).matchAll(/Transition\(\s*"([a-z-]+)"/g)].map((found) => found[1]!);
  const states = (name: string) => {
    const text = source(`machines/${name}.py`);
    return strings(text.slice(text.indexOf('STATES: Final = ('), text.indexOf('Machine(', text.indexOf('STATES: Final = ('))));
  };

  it('have words for every event of every machine', () => {
    expect(events('movement').length).toBeGreaterThan(30);
    expect(events('movement').filter((one) => !isKey(`movementEvent.${one}`))).toEqual([]);
    expect(events('seal').filter((one) => !isKey(`sealEvent.${one}`))).toEqual([]);
    expect(events('guarantee').filter((one) => !isKey(`guaranteeEvent.${one}`))).toEqual([]);
  });

  it('have words for every state, and the pages know the same states', () => {
    const text = source('machines/movement.py');
    const targets = [...text.matchAll(/Transition\([^)]*?\),\s*"([a-z-]+)"/gs)].map((found) => found[1]!);
    expect(new Set(targets).size).toBeGreaterThan(20);
    for (const state of [...targets, ...STATES]) expect(isKey(`movementState.${state}`), state).toBe(true);
    for (const state of targets) expect(STATES as readonly string[]).toContain(state);
    expect(states('seal').filter((one) => one !== 'seal').sort()).toEqual([...SEAL_STATES].sort());
    for (const state of SEAL_STATES) expect(isKey(`deviceState.${state}`), state).toBe(true);
  });

  it('have words for every reason of a clean-trip report', () => {
    const text = source('trip/words.py');
    const rules = [...text.slice(text.indexOf('"en": {'), text.indexOf('"fr": {')).matchAll(/^ {8}"([a-z-]+)": /gm)].map((found) => found[1]!);
    expect(rules.length).toBeGreaterThan(15);
    // `more` only counts what is left out.
    expect(rules.filter((one) => one !== 'more' && !isKey(`rule.${one}`))).toEqual([]);
  });

  it('have words for every field of the canonical model', () => {
    const fields = [...source('model.py').matchAll(/^ {4}([a-z]\w*): /gm)].map((found) => found[1]!);
    expect(fields.length).toBeGreaterThan(150);
    expect([...new Set(fields)].filter((one) => !isKey(`field.${one}`))).toEqual([]);
  });
});

describe('what can be recorded', () => {
  it('stands in the order in which it is wanted: steps, what ends a movement, remarks', () => {
    expect(ordered(['cancel', 'note', 'depart', 'depart'])).toEqual(['depart', 'cancel', 'note']);
    expect(standingOf('waive-seal')).toBe('grave');
  });

  it('tells what is missing before it is sent, and sends amounts as exact text', () => {
    const fields = fieldsOf('reserve-guarantee');
    expect(missing(fields, { grn: ' ' }, [])).toEqual(['grn', 'amount', 'currency']);
    const typed = { grn: '24CN01', amount: '1 234,50', currency: 'eur', rate: '' };
    expect(missing(fields, typed, [])).toEqual([]);
    expect(detailsOf(fields, typed, [])).toEqual({ grn: '24CN01', amount: '1234.50', currency: 'EUR' });
    expect(plainAmount('12.5.0')).toBeNull();
    expect(plainAmount('90071992547409930.01')).toBe('90071992547409930.01');
  });

  it('wants every seal with the equipment that it is on', () => {
    const fields = fieldsOf('seal');
    expect(missing(fields, {}, [{ id: '', equipment_id: '' }])).toEqual(['seals']);
    expect(missing(fields, {}, [{ id: 'S1', equipment_id: ' ' }])).toEqual(['seals']);
    expect(detailsOf(fields, {}, [{ id: ' S1 ', equipment_id: 'MSKU1' }, { id: '', equipment_id: '' }])).toEqual({ seals: [{ id: 'S1', equipment_id: 'MSKU1' }] });
  });
});

const answer = (over: Partial<Scan> = {}): Scan => ({
  id: 1, outcome: 'accepted', purpose: 'exit', mrn: 'M', equipment_id: null, code_id: 1, at: '', gate: 'N4', reasons: [], first_use: null, effects: [], state: null, ...over,
});
const scan: NewScan = { code: 'CK1:X', gate: 'N4', by: 'Ada', at: '2026-11-25T08:00:00.123Z' };
const used = (over: object = {}) =>
  answer({ outcome: 'refused', reasons: [{ rule: 'already-used', detail: '' }], first_use: { at: '2026-11-25T08:00:00.123000Z', gate: 'N4', by: 'Ada', ...over } });

function storage(): Storage {
  const kept = new Map<string, string>();
  return {
    get length() {
      return kept.size;
    },
    key: (i: number) => [...kept.keys()][i] ?? null,
    getItem: (name: string) => kept.get(name) ?? null,
    setItem: (name: string, text: string) => void kept.set(name, text),
    removeItem: (name: string) => void kept.delete(name),
    clear: () => kept.clear(),
  };
}
function desk(answers: (Scan | Error)[], kept = storage()) {
  const verdicts: Verdict[] = [];
  const sent: NewScan[] = [];
  const timers: (() => void)[] = [];
  const queue = new ScanQueue({
    scan: (one) => {
      sent.push(one);
      const next = answers.shift();
      return next instanceof Error || !next ? Promise.reject(next ?? new NoAnswer('none')) : Promise.resolve(next);
    },
    storage: kept,
    onVerdict: (verdict) => verdicts.push(verdict),
    onChange: () => undefined,
    later: (run) => timers.push(run),
  });
  const settle = async () => {
    for (let i = 0; i < 20; i += 1) await Promise.resolve();
  };
  return { queue, verdicts, sent, timers, kept, settle };
}

describe('codes read at a gate', () => {
  it('are undecided until the server has decided, through lost lines and reloads, in their order', async () => {
    const first = desk([new NoAnswer('down')]);
    first.queue.add(scan);
    first.queue.add({ ...scan, code: 'CK1:Y', at: '2026-11-25T08:00:01.000Z' });
    await first.settle();
    expect(first.verdicts).toEqual([]);
    expect(first.queue.stuck).toBe(true);
    expect(first.queue.undecided.map((one) => one.code)).toEqual(['CK1:X', 'CK1:Y']);

    const second = desk([answer(), answer({ outcome: 'refused', reasons: [{ rule: 'void', detail: '' }] })], first.kept);
    await second.queue.flush();
    expect(second.sent.map((one) => one.code)).toEqual(['CK1:X', 'CK1:Y']);
    expect(second.sent[0]).toEqual(scan);
    expect(second.verdicts.map((one) => 'scan' in one && one.scan.outcome)).toEqual(['accepted', 'refused']);
    expect(second.kept.length).toBe(0);
    expect(second.queue.stuck).toBe(false);
  });

  it('are tried again by themselves while the server is away, and not when it has refused to take them', async () => {
    const { queue, verdicts, timers, settle } = desk([new ApiProblem(503, 'Busy', ''), new ApiProblem(422, 'Refused', 'no such time')]);
    queue.add(scan);
    await settle();
    expect(timers).toHaveLength(1);
    timers[0]!();
    await settle();
    expect(verdicts).toMatchObject([{ problem: { status: 422 } }]);
    expect(queue.undecided).toEqual([]);
  });

  it('whose first answer was lost are known again by their own use, and by nobody else’s', async () => {
    expect(isOwnUse(scan, used())).toBe(true);
    for (const other of [{ gate: 'N5' }, { by: 'Ben' }, { at: '2026-11-25T07:59:00Z' }]) expect(isOwnUse(scan, used(other))).toBe(false);
    const lost = desk([new NoAnswer('lost'), used()]);
    lost.queue.add(scan);
    await lost.settle();
    lost.timers[0]!();
    await lost.settle();
    expect(lost.verdicts).toMatchObject([{ recovered: true, scan: { outcome: 'accepted' } }]);
    // The same answer to a code that was sent once only is a refusal: somebody else used it.
    const once = desk([used()]);
    once.queue.add(scan);
    await once.settle();
    expect(once.verdicts).toMatchObject([{ recovered: false, scan: { outcome: 'refused' } }]);
  });

  it('that are read twice by a trembling trigger are one reading', () => {
    const last = { ...scan, key: 'k' };
    const at = Date.parse(scan.at);
    expect(isEcho('CK1:X', at + 900, last)).toBe(true);
    expect(isEcho('CK1:X', at + 9_000, last)).toBe(false);
    expect(isEcho('CK1:Y', at + 900, last)).toBe(false);
    expect(isEcho('CK1:X', at, null)).toBe(false);
  });

  it('can be taken back before they are decided', async () => {
    const { queue, settle, kept } = desk([new NoAnswer('down')]);
    const reading = queue.add(scan);
    await settle();
    queue.drop(reading.key);
    expect(queue.undecided).toEqual([]);
    expect(kept.length).toBe(0);
  });
});

describe('the camera’s decoder', () => {
  /** CKT1:7HBE-1ESM as the server's own library (segno) draws it, error correction M. */
  const ROWS = [
    '#######..####.#######',
    '#.....#...###.#.....#',
    '#.###.#...###.#.###.#',
    '#.###.#...#...#.###.#',
    '#.###.#..#.##.#.###.#',
    '#.....#.#.#...#.....#',
    '#######.#.#.#.#######',
    '.........#...........',
    '#..#.##.######.#.....',
    '##.#...#...#...#.###.',
    '...#..#..#.#.......##',
    '####.#.####.#.#.#....',
    '.#..#.#..###.#.#.#..#',
    '........#.#..#..#...#',
    '#######..#.##.....#..',
    '#.....#.#....#.##.#.#',
    '#.###.#..##.###..#..#',
    '#.###.#.##...#.#...##',
    '#.###.#...##..###.#.#',
    '#.....#..#.##..##.#.#',
    '#######.##........#..',
  ];
  const drawn = (rows: string[], scale: number, angle: number) => {
    const [width, height] = [320, 240];
    const data = new Uint8ClampedArray(width * height * 4).fill(255);
    for (let y = 0; y < height; y += 1)
      for (let x = 0; x < width; x += 1) {
        const [dx, dy] = [x - width / 2, y - height / 2];
        const column = Math.floor((dx * Math.cos(angle) + dy * Math.sin(angle)) / scale + ROWS.length / 2);
        const row = Math.floor((dy * Math.cos(angle) - dx * Math.sin(angle)) / scale + ROWS.length / 2);
        if (rows[row]?.[column] === '#') data.fill(20, (y * width + x) * 4, (y * width + x) * 4 + 3);
      }
    return { data, width, height };
  };

  it('reads a code, upright and turned, and nothing from a picture without one', () => {
    for (const angle of [0, 0.3, 1.6]) expect(read(drawn(ROWS, 6, angle))).toBe('CKT1:7HBE-1ESM');
    expect(read(drawn([], 6, 0))).toBeNull();
  });
});

describe('money', () => {
  it('keeps every digit, whatever its size', () => {
    expect(money('90071992547409930.01', 'XAF', 'en')).toBe('90,071,992,547,409,930.01\u00a0XAF');
    expect(money('1234.5', 'EUR', 'fr')?.replaceAll(/\s/g, ' ')).toBe('1 234,50 EUR');
    expect(money(null, 'EUR', 'en')).toBeNull();
    expect(money('12,5', 'EUR', 'en')).toBe('12,5 EUR');
  });
  it('is drawn as a share between none and all', () => {
    expect(share('50.00', '200.00')).toBe(0.25);
    expect(share('5', '0')).toBe(0);
    expect(share('500', '200')).toBe(1);
  });
});

describe('deadlines', () => {
  const enquiry = (mrn: string, due: string[], limit: string | null = null): Enquiry => ({
    mrn, state: 'overdue', since: null, limit_at: limit, holder: null, departure_office: null, destination_office: null,
    deadlines: due.map((due_at, i) => ({ event: `e${i}`, due_at })),
  });
  it('put the nearest first, and what has none last', () => {
    const list = [enquiry('A', []), enquiry('B', ['2026-12-02T00:00:00Z', '2026-12-01T00:00:00+02:00']), enquiry('C', ['2026-11-30T23:00:00Z']), enquiry('D', [], '2026-01-01T00:00:00Z')];
    expect(byUrgency(list).map((one) => one.mrn)).toEqual(['D', 'B', 'C', 'A']);
    expect(nearest(list[1]!.deadlines)?.event).toBe('e1');
    expect(nearest(null)).toBeNull();
  });
});

describe('a document', () => {
  const document = {
    id: 'd', kind: 'cc015c', reference: 'M', flags: [], unmapped: [], received_at: '', by: null, sha256: '', media_type: null, size: 1,
    mrn: 'M', limit_at: '2026-11-25T08:00:00Z', countries: ['CN', 'PL'], terms: null, notes: [], unloading: { conform: true }, offices: [{ role: 'departure', id: 'X' }, { role: 'transit', id: null }],
    consignments: [{ ucr: 'U', equipment: [], items: [] }], extra: [{ a: 1 }],
  } as unknown as CanonicalDocument;
  it('shows what it says, and nothing that it leaves open', () => {
    expect(plainOf(document).map(([name]) => name)).not.toContain('terms');
    const { plain, parts } = contentOf(document);
    expect(plain).toEqual([['mrn', 'M'], ['limit_at', '2026-11-25T08:00:00Z'], ['countries', ['CN', 'PL']]]);
    expect(parts.map(([name]) => name)).toEqual(['consignments', 'offices', 'unloading', 'extra']);
    expect(partsOf({ a: { b: null } })).toEqual([]);
  });
  it('shows values with their unit, moments and yes or no in words', () => {
    expect(shownField('gross_mass_kg', 12_400.5, 'en')).toContain('kg');
    expect(shownField('containerised', false, 'fr')).toBe('non');
    expect(shownField('limit_at', '2026-11-25T08:00:00Z', 'en')).toContain('2026');
    expect(shownField('function', 'amendment', 'en')).toBe('Amendment');
    expect(shownField('value', '001.50', 'en')).toBe('001.50');
  });
  it('has flags with a rule and what it is about', () => {
    expect(flagParts('iso6346-check-digit:MSKU1234560')).toEqual({ rule: 'iso6346-check-digit', about: 'MSKU1234560' });
    expect(flagParts('totals:gross-mass /a 1 is not 2')).toEqual({ rule: 'totals', about: 'gross-mass /a 1 is not 2' });
    expect(flagParts('date-order-assumed')).toEqual({ rule: 'date-order-assumed', about: '' });
  });
});

describe('the history', () => {
  it('stands the newest first by event time, whenever it was recorded', () => {
    const event = (seq: number, at: string) => ({ seq, at }) as MovementEvent;
    expect(newestFirst([event(1, '2026-11-25T08:00:00Z'), event(3, '2026-11-25T07:00:00Z'), event(2, '2026-11-25T08:00:00Z')]).map((one) => one.seq)).toEqual([2, 1, 3]);
    expect(inWords([{ id: 'S1', equipment_id: 'MSKU1' }, { id: 'S2', equipment_id: null }])).toBe('S1 · MSKU1, S2');
    expect(inWords(null)).toBe('');
  });
});

describe('moments and sizes', () => {
  it('go into a field and out of it to the second', () => {
    const at = '2026-11-25T08:30:15.000Z';
    expect(momentOf(fieldOf(at))).toBe(at);
    expect(momentOf('')).toBeNull();
    expect(fieldOf('never')).toBe('');
  });
  it('of files are told in the units of a thousand', () => {
    expect(size(999, 'en')).toBe('999\u202fB');
    expect(size(14_233, 'fr')).toBe('14\u202fko');
    expect(size(2_500_000, 'en')).toBe('2.5\u202fMB');
  });
});

describe('addresses of the customs file', () => {
  it('round-trip, also with odd names', () => {
    const there = (address: string) => {
      const url = new URL(address, 'http://x');
      return parseRoute(url.pathname, url.search);
    };
    expect(there(to.movement('M 1', '2026-11-25T08:00:00+02:00'))).toEqual({ page: 'movement', mrn: 'M 1', known: '2026-11-25T08:00:00+02:00' });
    expect(there(to.document('d/1'))).toEqual({ page: 'document', id: 'd/1' });
    expect(there(to.seal('A.1'))).toEqual({ page: 'seal', id: 'A.1' });
    expect(there(to.guarantee('24CN'))).toEqual({ page: 'guarantee', grn: '24CN' });
    for (const address of [to.documents(), to.seals(), to.guarantees(), to.enquiries(), to.scan(), to.check()]) expect(there(address).page).not.toBe('lost');
    expect(there('/trip').page).toBe('lost');
  });
  it('say who a page is for: visitors see nothing of the control room', () => {
    expect(audienceOf(parseRoute('/check'))).toBe('visitor');
    expect(audienceOf(parseRoute('/trip/abc'))).toBe('visitor');
    expect(audienceOf(parseRoute('/scan'))).toBe('gate');
    expect(audienceOf(parseRoute('/trip'))).toBe('room');
  });
});
