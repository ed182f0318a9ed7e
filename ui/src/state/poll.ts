import { untrack } from 'svelte';

/** Reads at once and again every so many ms, as long as the page is in sight; the answer ends it. */
export function poll(read: (signal: AbortSignal) => Promise<void>, everyMs: number): () => void {
  const ended = new AbortController();
  let timer: ReturnType<typeof setTimeout> | undefined;
  let reading = false;
  const again = async (): Promise<void> => {
    clearTimeout(timer);
    if (reading || document.hidden) return;
    reading = true;
    try {
      await read(ended.signal);
    } finally {
      reading = false;
    }
    if (!ended.signal.aborted) timer = setTimeout(() => void again(), everyMs);
  };
  const seen = () => void again();
  document.addEventListener('visibilitychange', seen);
  // What is read here does not make the effect that began it run again.
  untrack(() => void again());
  return () => {
    ended.abort();
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', seen);
  };
}
