import { describe, expect, it } from 'vitest';
import { bytesOf, hex, textOf } from '../src/format/bytes';
import { boundsOf, centreOf, wrapped } from '../src/map/bounds';
import { graticule } from '../src/map/ground';
import { mercator } from '../src/map/marks';
import { clipLine, clipRing } from '../src/map/outline';
import { clampScale } from '../src/map/scale';
import { alarmStretches, indexAt, lastKnown, sealLevels } from '../src/plots/replay';
import { parseRoute, to } from '../src/state/address';
import { parametersOf } from '../src/views/commanding';
import { doorOf } from '../src/views/gateway';
import { shownValue } from '../src/views/observation';

describe('the map', () => {
  it('cuts rings to a box', () => {
    const square = [[0, 0], [10, 0], [10, 10], [0, 10], [0, 0]];
    const cut = clipRing(square, [5, 5, 20, 20]);
    expect(boundsOf([{ type: 'Polygon', coordinates: [cut] }])).toEqual([5, 5, 10, 10]);
    expect(clipRing(square, [20, 20, 30, 30])).toEqual([]);
    expect(cut[0]).toEqual(cut.at(-1));
  });

  it('keeps the parts of a line that touch a box', () => {
    expect(clipLine([[0, 0], [1, 0], [9, 0], [10, 0]], [0, -1, 2, 1])).toEqual([[[0, 0], [1, 0], [9, 0]]]);
    expect(clipLine([[0, 5], [10, 5]], [0, -1, 2, 1])).toEqual([]);
  });

  it('asks for a box that the server takes, wherever the map was dragged to', () => {
    expect(wrapped(-200, 250)).toEqual({ west: -180, east: 180 });
    expect(wrapped(170, 190)).toEqual({ west: 170, east: -170 });
    expect(wrapped(470, 480)).toEqual({ west: 110, east: 120 });
  });

  it('starts where most vehicles are', () => {
    const coordinates = Array.from({ length: 50 }, (_, i) => [114 + i / 1_000, 22]);
    coordinates.push([5, 60]);
    expect(centreOf([{ type: 'MultiPoint', coordinates }])?.[0]).toBeGreaterThan(113);
    expect(centreOf([{ type: 'MultiPoint', coordinates: [[1, 2]] }])).toBeNull();
  });

  it('has a scale bar of a round length that is true', () => {
    const { px, metres } = clampScale(0, 10);
    expect([1, 2, 5]).toContain(metres / 10 ** Math.floor(Math.log10(metres)));
    expect(px).toBeLessThanOrEqual(96);
    expect(metres / px).toBeCloseTo(40_075_016.686 / (512 * 1_024), 0);
  });

  it('projects as MapLibre does', () => {
    expect(mercator(0, 0)).toEqual([0.5, 0.5]);
    expect(mercator(180, 85.051129)[1]).toBeCloseTo(0, 6);
  });

  it('draws a graticule of a bounded number of lines at any zoom', () => {
    for (let zoom = 0; zoom <= 17; zoom += 1) {
      const half = 180 / 2 ** zoom;
      const lines = graticule(zoom, 114 - half, 22 - half / 2, 114 + half, 22 + half / 2).features.length;
      expect(lines).toBeGreaterThan(1);
      expect(lines).toBeLessThan(90);
    }
  });
});

describe('the replay', () => {
  it('finds the last observation at or before a moment', () => {
    expect(indexAt([10, 20, 30], 9)).toBe(-1);
    expect(indexAt([10, 20, 30], 20)).toBe(1);
    expect(indexAt([10, 20, 30], 99)).toBe(2);
    expect(lastKnown([5, null, null], 2)).toEqual({ value: 5, at: 0 });
    expect(lastKnown([null], 0)).toBeNull();
  });

  it('marks where a seal that was locked was opened or cut', () => {
    expect(alarmStretches([1, 0, 1, null, 2, 0, 2])).toEqual([[2, 4], [6, 6]]);
    expect(alarmStretches([1, 1])).toEqual([]);
  });

  it('never takes an unknown seal for a locked one', () => {
    const columns = { observed_at: ['', '', '', ''], locked: [true, null, false, true], rope_cut: [false, null, null, true] };
    expect(sealLevels(columns as never)).toEqual([0, null, 1, 2]);
  });
});

describe('addresses', () => {
  it('round-trip, also with odd names', () => {
    expect(parseRoute('/')).toEqual({ page: 'live', alert: null, vehicle: null });
    const link = new URL(to.live({ alert: 'a&b' }), 'http://x');
    expect(parseRoute(link.pathname, link.search)).toMatchObject({ alert: 'a&b' });
    expect(parseRoute(new URL(to.movement('26CN/1 é'), 'http://x').pathname)).toEqual({ page: 'movement', mrn: '26CN/1 é', known: null });
    expect(parseRoute('/devices/D-1')).toEqual({ page: 'device', id: 'D-1' });
    const held = new URL(to.quarantine(7, 'D 1'), 'http://x');
    expect(parseRoute(held.pathname, held.search)).toEqual({ page: 'quarantine', id: '7', device: 'D 1' });
    expect(parseRoute(to.gateway())).toEqual({ page: 'gateway' });
    expect(parseRoute('/nowhere').page).toBe('lost');
  });
});

describe('a value of an observation', () => {
  it('carries its unit, and stays unknown when it is', () => {
    expect(shownValue('speed_mps', 10, 'en')).toContain('km/h');
    expect(shownValue('battery_pct', 0, 'en')).toContain('0');
    expect(shownValue('locked', false, 'en')).toBe('no');
    expect(shownValue('locked', null, 'en')).toBeNull();
  });
});

describe('bytes', () => {
  const bytes = (...values: number[]) => Uint8Array.from(values);

  it('are text only where somebody could have written them', () => {
    expect(textOf(bytesOf('eyJhIjogMX0K'))).toBe('{"a": 1}\n');
    expect(textOf(bytes(0x24, 0x80, 0x41))).toBeNull();
    expect(textOf(bytes(0x24, 0x00, 0x41))).toBeNull();
    expect(textOf(bytes(0xc3, 0xa9))).toBe('é');
    expect(hex(bytes(0x24, 0x80, 0x0a))).toBe('24 80 0a');
  });
});

describe('a command', () => {
  it('sends numbers as numbers, passwords and other text as they stand', () => {
    const typed = { seconds: ' 60 ', password: '000123', model: 'ST300', code: '007', empty: ' ' };
    expect(parametersOf(['seconds', 'password', 'model', 'code', 'empty'], typed)).toEqual({
      seconds: 60, password: '000123', model: 'ST300', code: '007',
    });
    expect(parametersOf(['password'], { password: '888888', seconds: '5' })).toEqual({ password: '888888' });
  });
});

describe('a door', () => {
  it('is told in its parts', () => {
    expect(doorOf('tcp [::1]:5014 jt701')).toEqual({ kind: 'tcp', place: '[::1]:5014', protocol: 'jt701' });
    expect(doorOf('folder /srv/with space aivdm')).toEqual({ kind: 'folder', place: '/srv/with space', protocol: 'aivdm' });
    expect(doorOf('mqtt 127.0.0.1:1883')).toEqual({ kind: 'mqtt', place: '127.0.0.1:1883', protocol: null });
  });
});
