import { api, ApiProblem, NoAnswer } from '../api/client';
import type { Demo, GeoCollection, Health, Office } from '../api/types';
import { clock } from './clock.svelte';
import { poll } from './poll';

/** Zones, corridors and the server's health are read again this often: others change them. */
const AGAIN_MS = 60_000;
const SOON_MS = 4_000;
/** The server's alarms about itself are asked for this often. */
const HEALTH_MS = 10_000;
const EMPTY: GeoCollection = { type: 'FeatureCollection', features: [] };

/** What changes rarely: the server's own facts, zones, corridors, offices, and the demonstration. */
class World {
  health = $state.raw<Health | null>(null);
  demo = $state.raw<Demo | null>(null);
  zones = $state.raw<GeoCollection>(EMPTY);
  corridors = $state.raw<GeoCollection>(EMPTY);
  offices = $state.raw<Office[]>([]);
  /** Zones, corridors and offices have been read at least once. */
  read = $state(false);
  trouble = $state.raw<Error | null>(null);
  #again: ReturnType<typeof setTimeout> | null = null;

  #started = false;

  /** Once, however often the control room is entered. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    void this.again();
    poll(() => this.#look(), HEALTH_MS);
  }

  async #look(): Promise<void> {
    try {
      this.health = await api.health();
    } catch (error) {
      // The banner says that the line is lost; what was known of the server's health stays in sight.
      if (!(error instanceof NoAnswer) && !(error instanceof ApiProblem)) throw error;
    }
  }

  /** Reads now, and from then on again and again. */
  async again(): Promise<void> {
    try {
      const health = await api.health();
      clock.configure(health.clock.kind, health.clock.speed);
      clock.hear(health.now);
      this.health = health;
      this.trouble = null;
      if (health.demo && !this.#following) void this.#followDemo();
      await this.readMap();
      const known = this.corridors.features.length || this.zones.features.length;
      setTimeout(() => void this.again(), known ? AGAIN_MS : SOON_MS);
    } catch (error) {
      this.trouble = error instanceof Error ? error : new Error(String(error));
      this.#again ??= setTimeout(() => {
        this.#again = null;
        void this.again();
      }, 4_000);
    }
  }

  async readMap(): Promise<void> {
    const [zones, corridors, offices] = await Promise.all([
      api.zones(),
      api.corridors(),
      api.offices(),
    ]);
    this.zones = zones;
    this.corridors = corridors;
    this.offices = offices.items;
    this.read = true;
  }

  /** Reads one corridor that is to be shown and was not among those read. */
  async needCorridor(id: string): Promise<void> {
    if (!this.read || this.corridors.features.some((one) => String(one.id) === id)) return;
    try {
      const one = await api.corridor(id);
      this.corridors = { ...this.corridors, features: [...this.corridors.features, one] };
    } catch (error) {
      // A corridor taken away since is no trouble of the page that names it; and when the line is lost
      // the banner says so, and the next reading of all corridors asks again.
      const gone = error instanceof ApiProblem && error.status === 404;
      if (!gone && !(error instanceof NoAnswer)) throw error;
    }
  }

  office(id: string | null): string | null {
    if (!id) return null;
    return this.offices.find((office) => office.id === id)?.name ?? id;
  }

  zone(id: string | null): string | null {
    if (!id) return null;
    const found = this.zones.features.find((zone) => String(zone.id) === id);
    return (found?.properties['name'] as string | undefined) ?? id;
  }

  #following = false;

  async #followDemo(): Promise<void> {
    this.#following = true;
    try {
      this.demo = await api.demo();
    } catch {
      // The strip keeps its last word; the line's own banner says that the server is gone.
    }
    if (!this.demo?.finished || !this.demo.table)
      setTimeout(() => void this.#followDemo(), 3_000);
  }
}

export const world = new World();
