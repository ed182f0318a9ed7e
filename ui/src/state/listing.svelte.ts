import { untrack } from 'svelte';
import type { Query } from '../api/client';
import type { Page } from '../api/types';

/** Typing is followed this long after the last key. */
const CALM_MS = 180;

export const asError = (error: unknown): Error => (error instanceof Error ? error : new Error(String(error)));

/** A list that the server searches and pages: what was read, whether there is more, and what went wrong. */
export class Listing<T> {
  /** Null: not read yet. */
  items = $state.raw<T[] | null>(null);
  next = $state<string | null>(null);
  trouble = $state.raw<Error | null>(null);
  #attempt = $state(0);
  #query: Query = {};

  constructor(private readonly read: (query: Query, signal?: AbortSignal) => Promise<Page<T>>) {}

  /** For an effect: reads anew whenever what the query was made of changes. */
  follow(query: Query): () => void {
    void this.#attempt;
    this.#query = query;
    const asked = new AbortController();
    const timer = setTimeout(
      () => {
        this.read(query, asked.signal).then(
          (page) => [this.items, this.next, this.trouble] = [page.items, page.next, null],
          (error: unknown) => {
            if (!asked.signal.aborted) this.trouble = asError(error);
          },
        );
      },
      untrack(() => this.items) === null ? 0 : CALM_MS,
    );
    return () => {
      clearTimeout(timer);
      asked.abort();
    };
  }

  again(): void {
    this.#attempt += 1;
  }

  async more(): Promise<void> {
    try {
      const page = await this.read({ ...this.#query, cursor: this.next });
      this.items = [...(this.items ?? []), ...page.items];
      this.next = page.next;
    } catch (error) {
      this.trouble = asError(error);
    }
  }
}
