import type { ObjectState, PositionRow, PositionsEvent } from '../api/types';
import { perFrame, PositionBook } from '../live/positions';
import { LiveStream, type LineState } from '../live/stream';
import { clock } from './clock.svelte';

export interface View {
  west: number;
  south: number;
  east: number;
  north: number;
  zoom: number;
}

const SILENCE_MS = 10_000;
const SETTLE_MS = 200;

/**
 * The moving objects of what is in view. The server is asked for one rectangle and sends single
 * objects or clusters; whatever arrives is drawn once per animation frame. A page in the background
 * asks for nothing.
 */
class Fleet {
  readonly book = new PositionBook();
  line = $state<LineState>('connecting');
  counts = $state.raw<Record<ObjectState, number>>(new PositionBook().countByState());
  totalInView = $state(0);
  mode = $state<'objects' | 'clusters'>('objects');
  heard = $state(false);
  /** Grows by one with each drawn update. */
  revision = $state(0);
  #view: View | null = null;
  #users = 0;
  #settle: ReturnType<typeof setTimeout> | null = null;
  #drawers = new Set<() => void>();

  #draw = perFrame(() => {
    const start = performance.now();
    for (const draw of this.#drawers) draw();
    this.counts = this.book.countByState();
    this.totalInView = this.book.totalInView;
    this.mode = this.book.mode;
    this.revision += 1;
    performance.measure('cocket:positions-draw', { start, detail: this.book.objects.size });
    performance.clearMeasures('cocket:positions-draw');
  });

  #stream = new LiveStream({
    address: () => {
      const v = this.#view;
      const bbox = v ? [v.west, v.south, v.east, v.north].map((n) => n.toFixed(4)).join(',') : '';
      return `/api/v1/stream?topics=positions&bbox=${bbox}&zoom=${Math.floor(v?.zoom ?? 0)}`;
    },
    events: {
      positions: (data) => {
        const event = data as PositionsEvent;
        this.book.apply(event);
        this.heard = true;
        clock.hear(event.now);
        this.#draw();
      },
    },
    onState: (state) => (this.line = state),
    silenceMs: SILENCE_MS,
  });

  constructor() {
    addEventListener('offline', () => this.#stream.interrupt());
    addEventListener('online', () => this.#resume());
    document.addEventListener('visibilitychange', () => {
      if (document.hidden) this.#stream.stop();
      else this.#resume();
    });
  }

  #resume(): void {
    if (this.#users && this.#view && !document.hidden) this.#stream.restart();
  }

  /** A map shows this rectangle now. */
  look(view: View): void {
    this.#view = view;
    if (this.#settle) clearTimeout(this.#settle);
    this.#settle = setTimeout(() => this.#resume(), SETTLE_MS);
  }

  /** Draws on every update until the returned function is called; the last one to go hangs up. */
  follow(draw: () => void): () => void {
    this.#drawers.add(draw);
    this.#users += 1;
    return () => {
      this.#drawers.delete(draw);
      this.#users -= 1;
      if (!this.#users) {
        this.#stream.stop();
        this.heard = false;
        this.book.clear();
      }
    };
  }

  find(deviceOrMrn: string): PositionRow | null {
    const direct = this.book.objects.get(deviceOrMrn);
    if (direct) return direct;
    for (const row of this.book.objects.values()) if (row[0] === deviceOrMrn) return row;
    return null;
  }
}

export const fleet = new Fleet();
