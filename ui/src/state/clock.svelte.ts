/**
 * The server's clock, as every age on screen is measured from it. In a replay it is simulated time
 * that runs `speed` times faster; between two answers it is carried on from the page's own
 * monotonic clock, so a wrong clock on this machine changes nothing.
 */
class ServerClock {
  known = $state(false);
  kind = $state<'wall' | 'replay'>('wall');
  speed = $state(1);
  /** Now, in ms since 1970, once a second. */
  now = $state(Date.now());
  #anchor = Date.now();
  #heardAt = performance.now();
  #held = false;

  constructor() {
    setInterval(() => (this.now = this.read()), 1_000);
  }

  read(): number {
    if (this.#held) return this.#anchor;
    return this.#anchor + (performance.now() - this.#heardAt) * this.speed;
  }

  hear(now: string): void {
    const ms = Date.parse(now);
    if (Number.isNaN(ms)) return;
    // A replay that has ended stops its clock: two equal answers and it stands still here too.
    this.#held = this.known && this.kind === 'replay' && ms === this.#lastHeard;
    this.#lastHeard = ms;
    this.#anchor = ms;
    this.#heardAt = performance.now();
    if (!this.known) {
      this.known = true;
      this.now = ms;
    }
  }
  #lastHeard = 0;

  configure(kind: 'wall' | 'replay', speed: number): void {
    this.kind = kind;
    this.speed = kind === 'wall' ? 1 : speed;
  }
}

export const clock = new ServerClock();
