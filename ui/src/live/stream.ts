/**
 * One server-sent event stream that comes back by itself.
 *
 * The browser's EventSource resumes a dropped connection with Last-Event-ID, but it gives up for good
 * after an HTTP error and cannot see a line that went silent. Here both end in a fresh connection that
 * asks for what came after the last id, so a listener misses nothing that the server still holds.
 */
export type LineState = 'connecting' | 'open' | 'lost' | 'closed';

export interface Source {
  onopen: ((event: Event) => void) | null;
  onerror: ((event: Event) => void) | null;
  addEventListener(type: string, listener: (event: MessageEvent<string>) => void): void;
  close(): void;
}

export interface StreamOptions {
  /** The address to open; `lastId` is null until an event with an id has come. */
  address: (lastId: string | null) => string;
  events: Record<string, (data: unknown) => void>;
  onState: (state: LineState) => void;
  /** No event for this long means that the line is dead. Leave out where events are rare. */
  silenceMs?: number;
  open?: (address: string) => Source;
}

const BACKOFF_MS = [500, 1_000, 2_000, 4_000, 8_000];
const ANSWER_MS = 10_000;

export class LiveStream {
  #options: StreamOptions;
  #source: Source | null = null;
  #retry: ReturnType<typeof setTimeout> | null = null;
  #watch: ReturnType<typeof setTimeout> | null = null;
  #failures = 0;
  #stopped = true;
  lastId: string | null = null;

  constructor(options: StreamOptions) {
    this.#options = options;
  }

  start(): void {
    if (!this.#stopped) return;
    this.#stopped = false;
    this.#connect();
  }

  stop(): void {
    this.#stopped = true;
    this.#drop();
    this.#options.onState('closed');
  }

  /** Connects afresh at once: the address changed, or the network came back. */
  restart(): void {
    this.#failures = 0;
    this.#stopped = false;
    this.#drop();
    this.#connect();
  }

  /** The line is known to be gone (the browser said so): say it without waiting for the silence. */
  interrupt(): void {
    if (this.#stopped) return;
    this.#drop();
    this.#fail();
  }

  #drop(): void {
    if (this.#retry) clearTimeout(this.#retry);
    if (this.#watch) clearTimeout(this.#watch);
    this.#retry = this.#watch = null;
    this.#source?.close();
    this.#source = null;
  }

  #fail(): void {
    this.#drop();
    this.#options.onState('lost');
    const wait = BACKOFF_MS[Math.min(this.#failures, BACKOFF_MS.length - 1)] ?? 8_000;
    this.#failures += 1;
    this.#retry = setTimeout(() => this.#connect(), wait);
  }

  #heard(within: number | undefined): void {
    if (this.#watch) clearTimeout(this.#watch);
    this.#watch = within === undefined ? null : setTimeout(() => this.#fail(), within);
  }

  #connect(): void {
    if (this.#stopped) return;
    if (this.#failures === 0) this.#options.onState('connecting');
    const open = this.#options.open ?? ((address: string) => new EventSource(address));
    const source = open(this.#options.address(this.lastId));
    this.#source = source;
    this.#heard(ANSWER_MS);
    source.onopen = () => {
      if (this.#source !== source) return;
      this.#failures = 0;
      this.#heard(this.#options.silenceMs);
      this.#options.onState('open');
    };
    source.onerror = () => {
      if (this.#source === source) this.#fail();
    };
    for (const [type, listener] of Object.entries(this.#options.events)) {
      source.addEventListener(type, (event) => {
        if (this.#source !== source) return;
        if (event.lastEventId) this.lastId = event.lastEventId;
        this.#heard(this.#options.silenceMs);
        listener(JSON.parse(event.data));
      });
    }
  }
}
