import { api } from '../api/client';
import { customs } from '../api/customs';
import { isEcho, ScanQueue, type Reading, type Verdict } from '../customs/scan-queue';
import { clock } from './clock.svelte';
import { session } from './session.svelte';
import { remembered } from './remembered.svelte';

/** Verdicts that are kept in sight. */
const KEPT = 20;

/** The gate's desk on this device: where it stands, what it read, and what was decided. */
class Scanner {
  gate = remembered('gate');
  office = remembered('office');
  verdicts = $state.raw<Verdict[]>([]);
  undecided = $state.raw<readonly Reading[]>([]);
  stuck = $state(false);
  /** What was read last: the one that the page shows large. */
  current = $state.raw<Reading | null>(null);

  #queue = new ScanQueue({
    scan: (scan) => customs.scan(scan),
    storage: localStorage,
    onVerdict: (verdict) => (this.verdicts = [verdict, ...this.verdicts].slice(0, KEPT)),
    onChange: () => this.#changed(),
  });
  #started = false;

  /** Sets the clock by the server's, and sends what waits. Once, however often the page is entered. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    addEventListener('online', () => void this.#hello());
    this.#changed();
    void this.#hello();
  }

  async #hello(): Promise<void> {
    try {
      const health = await api.health();
      clock.configure(health.clock.kind, health.clock.speed);
      clock.hear(health.now);
    } catch {
      // Without an answer this device's own clock is used, and the queue says that nothing is decided.
    }
    await this.#queue.flush();
  }

  #changed(): void {
    this.undecided = [...this.#queue.undecided];
    this.stuck = this.#queue.stuck;
  }

  /** Takes a code that was read; one that is only the echo of the last reading is left out. */
  read(code: string): void {
    const text = code.trim();
    const now = clock.read();
    if (!text || isEcho(text, now, this.current)) return;
    this.current = this.#queue.add({
      code: text,
      ...(this.gate.value ? { gate: this.gate.value } : {}),
      ...(this.office.value ? { office: this.office.value } : {}),
      by: session.operator,
      at: new Date(now).toISOString(),
    });
  }

  again(): void {
    void this.#queue.flush();
  }

  /** Takes back a code that has not been decided on. */
  drop(key: string): void {
    if (this.current?.key === key) this.current = null;
    this.#queue.drop(key);
  }

  verdictOf(reading: Reading | null): Verdict | null {
    return this.verdicts.find((one) => one.reading.key === reading?.key) ?? null;
  }
}

export const scanner = new Scanner();
