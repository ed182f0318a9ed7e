import { ApiProblem, NoAnswer } from '../api/client';
import type { NewScan, Scan } from '../api/customs-types';

/** One code that was read: kept until the server has decided on it. Until then nothing is decided. */
export interface Reading extends NewScan {
  key: string;
}
export type Verdict =
  | { reading: Reading; scan: Scan; recovered: boolean }
  | { reading: Reading; problem: ApiProblem };

export interface ScanDoor {
  scan: (scan: NewScan) => Promise<Scan>;
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;
  onVerdict: (verdict: Verdict) => void;
  onChange: () => void;
  later?: (run: () => void, ms: number) => void;
}

const PREFIX = 'cocket.scan/';
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/** Worth another try: no answer, or a server that cannot at the moment. Everything else is the server's word. */
const mayRetry = (error: unknown) =>
  error instanceof NoAnswer || (error instanceof ApiProblem && (error.status >= 500 || error.status === 429));

/** A trigger pressed twice, or a code still before the scanner: the same text again within this time is one reading. */
const ECHO_MS = 3_000;
export function isEcho(code: string, nowMs: number, last: Reading | null): boolean {
  return !!last && last.code === code && Math.abs(nowMs - Date.parse(last.at)) < ECHO_MS;
}

/**
 * The answer to a scan may be lost after the server has decided. Sent again, the code is then "already used",
 * by this very reading: the first use names the same moment, gate and person. That is no refusal.
 */
export function isOwnUse(reading: NewScan, scan: Scan): boolean {
  const first = scan.first_use;
  return (
    scan.outcome === 'refused' &&
    scan.reasons.length === 1 &&
    scan.reasons[0]?.rule === 'already-used' &&
    !!first &&
    Date.parse(first.at) === Date.parse(reading.at) &&
    (first.gate ?? '') === (reading.gate ?? '') &&
    first.by === reading.by
  );
}

/**
 * Codes read, one at a time to the server, in the order read. A lost line, a reload or a closed page loses none:
 * they wait, undecided, and are shown as that.
 */
export class ScanQueue {
  #door: ScanDoor;
  #readings: Reading[] = [];
  #tried = new Set<string>();
  #sending = false;
  #waiting = false;
  #failures = 0;
  #serial = 0;

  constructor(door: ScanDoor) {
    this.#door = door;
    for (let i = 0; i < door.storage.length; i += 1) {
      const name = door.storage.key(i);
      const text = name?.startsWith(PREFIX) ? door.storage.getItem(name) : null;
      if (!text) continue;
      const reading = JSON.parse(text) as Reading;
      this.#readings.push(reading);
      // It may have reached the server before the page was closed.
      this.#tried.add(reading.key);
    }
    this.#readings.sort((a, b) => a.at.localeCompare(b.at) || a.key.localeCompare(b.key));
  }

  get undecided(): readonly Reading[] {
    return this.#readings;
  }

  /** The last try failed, and the next one is waited for. */
  get stuck(): boolean {
    return this.#failures > 0;
  }

  add(scan: NewScan): Reading {
    this.#serial += 1;
    const reading = { ...scan, key: `${scan.at}-${this.#serial.toString(36)}` };
    this.#readings.push(reading);
    this.#door.storage.setItem(PREFIX + reading.key, JSON.stringify(reading));
    this.#door.onChange();
    void this.flush();
    return reading;
  }

  /** Takes a reading back that the server has not decided on. */
  drop(key: string): void {
    this.#forget(key);
    this.#door.onChange();
  }

  /** Sends what waits. Safe to call at any time. */
  async flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      for (let next = this.#readings[0]; next; next = this.#readings[0]) {
        await this.#send(next);
        this.#failures = 0;
      }
    } catch (error) {
      if (!mayRetry(error)) throw error;
      this.#retryLater();
    } finally {
      this.#sending = false;
      this.#door.onChange();
    }
  }

  async #send(reading: Reading): Promise<void> {
    const again = this.#tried.has(reading.key);
    this.#tried.add(reading.key);
    const { key, ...asked } = reading;
    try {
      const scan = await this.#door.scan(asked);
      const recovered = again && isOwnUse(reading, scan);
      this.#decided(key, { reading, scan: recovered ? { ...scan, outcome: 'accepted', reasons: [] } : scan, recovered });
    } catch (error) {
      if (!(error instanceof ApiProblem) || mayRetry(error)) throw error;
      this.#decided(key, { reading, problem: error });
    }
  }

  #decided(key: string, verdict: Verdict): void {
    const kept = this.#readings.some((one) => one.key === key);
    this.#forget(key);
    // One that was taken back while it was on its way has been decided all the same, and is shown.
    if (kept || 'scan' in verdict) this.#door.onVerdict(verdict);
    this.#door.onChange();
  }

  #forget(key: string): void {
    this.#door.storage.removeItem(PREFIX + key);
    this.#readings = this.#readings.filter((one) => one.key !== key);
  }

  #retryLater(): void {
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 15_000;
    this.#failures += 1;
    if (this.#waiting) return;
    this.#waiting = true;
    (this.#door.later ?? ((run, ms) => void setTimeout(run, ms)))(() => {
      this.#waiting = false;
      void this.flush();
    }, wait);
  }
}
