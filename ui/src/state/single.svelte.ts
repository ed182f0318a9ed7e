import { asError } from './listing.svelte';

/** One thing that the server is asked for: what was read, and what went wrong. */
export class Single<T> {
  /** Null: not read yet. */
  value = $state.raw<T | null>(null);
  trouble = $state.raw<Error | null>(null);
  #attempt = $state(0);

  constructor(private readonly read: (signal: AbortSignal) => Promise<T>) {}

  /** For an effect: reads anew whenever what `read` depends on changes, and when asked to by `again`. */
  follow(): () => void {
    void this.#attempt;
    const asked = new AbortController();
    this.read(asked.signal).then(
      (found) => ([this.value, this.trouble] = [found, null]),
      (error: unknown) => {
        if (!asked.signal.aborted) this.trouble = asError(error);
      },
    );
    return () => asked.abort();
  }

  again(): void {
    this.#attempt += 1;
  }
}
