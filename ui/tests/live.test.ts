import { afterEach, beforeEach, describe, expect, it, vi } from 'vitest';
import type { PositionRow } from '../src/api/types';
import { perFrame, PositionBook } from '../src/live/positions';
import { LiveStream, type LineState, type Source } from '../src/live/stream';

const row = (device: string, state: PositionRow[6] = 'normal'): PositionRow => ['M', device, 22.5, 114, null, 3, state, 0];

describe('the position book', () => {
  it('replaces on full, adds on changes, and forgets objects when clusters come', () => {
    const book = new PositionBook();
    book.apply({ now: 'n', mode: 'objects', full: true, objects: [row('a'), row('b')], total_in_view: 2 });
    book.apply({ now: 'n', mode: 'objects', full: false, objects: [row('b', 'critical')], total_in_view: 2 });
    expect(book.objects.size).toBe(2);
    expect(book.countByState()).toMatchObject({ normal: 1, critical: 1 });
    book.apply({ now: 'n', mode: 'clusters', clusters: [[22, 114, 9, 'warn']], total_in_view: 9 });
    expect(book.objects.size).toBe(0);
    expect(book.clusters).toHaveLength(1);
    book.apply({ now: 'n', mode: 'objects', full: false, objects: [row('c')], total_in_view: 1 });
    expect([...book.objects.keys()]).toEqual(['c']);
    expect(book.clusters).toEqual([]);
  });

  it('draws once per frame however often it is asked', () => {
    const frames: (() => void)[] = [];
    let drawn = 0;
    const ask = perFrame(() => (drawn += 1), (run) => frames.push(run));
    ask();
    ask();
    expect(drawn).toBe(0);
    frames.shift()!();
    expect(drawn).toBe(1);
    ask();
    frames.shift()!();
    expect(drawn).toBe(2);
  });
});

class FakeSource implements Source {
  onopen: Source['onopen'] = null;
  onerror: Source['onerror'] = null;
  closed = false;
  #listeners = new Map<string, (event: MessageEvent<string>) => void>();
  constructor(readonly address: string) {}
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void {
    this.#listeners.set(type, listener);
  }
  close(): void {
    this.closed = true;
  }
  send(type: string, data: unknown, id = ''): void {
    this.#listeners.get(type)?.({ data: JSON.stringify(data), lastEventId: id } as MessageEvent<string>);
  }
}

describe('the live stream', () => {
  beforeEach(() => void vi.useFakeTimers());
  afterEach(() => void vi.useRealTimers());

  const setUp = () => {
    const sources: FakeSource[] = [];
    const states: LineState[] = [];
    const seen: unknown[] = [];
    const stream = new LiveStream({
      address: (lastId) => `/s?last=${lastId ?? ''}`,
      events: { alert: (data) => seen.push(data) },
      onState: (state) => states.push(state),
      silenceMs: 5_000,
      open: (address) => {
        const source = new FakeSource(address);
        sources.push(source);
        return source;
      },
    });
    return { sources, states, seen, stream };
  };

  it('resumes after the last id when the line breaks', () => {
    const { sources, states, seen, stream } = setUp();
    stream.start();
    sources[0]!.onopen?.({} as Event);
    sources[0]!.send('alert', { n: 1 }, '41');
    sources[0]!.onerror?.({} as Event);
    expect(sources[0]!.closed).toBe(true);
    expect(states.at(-1)).toBe('lost');
    vi.advanceTimersByTime(600);
    expect(sources[1]!.address).toBe('/s?last=41');
    sources[1]!.onopen?.({} as Event);
    sources[1]!.send('alert', { n: 2 }, '42');
    expect(seen).toEqual([{ n: 1 }, { n: 2 }]);
    expect(states.at(-1)).toBe('open');
  });

  it('takes a silent line for a dead one, and waits longer after each failure', () => {
    const { sources, states, stream } = setUp();
    stream.start();
    sources[0]!.onopen?.({} as Event);
    vi.advanceTimersByTime(5_001);
    expect(states.at(-1)).toBe('lost');
    vi.advanceTimersByTime(500);
    sources[1]!.onerror?.({} as Event);
    vi.advanceTimersByTime(500);
    expect(sources).toHaveLength(2);
    vi.advanceTimersByTime(500);
    expect(sources).toHaveLength(3);
  });

  it('hears nothing of a connection it has left', () => {
    const { sources, seen, stream } = setUp();
    stream.start();
    stream.restart();
    sources[0]!.send('alert', { old: true }, '1');
    sources[1]!.send('alert', { old: false }, '2');
    expect(seen).toEqual([{ old: false }]);
    stream.stop();
    vi.advanceTimersByTime(60_000);
    expect(sources).toHaveLength(2);
  });
});
