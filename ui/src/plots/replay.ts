import type { TrackColumns } from '../api/types';

/** The index of the last observation at or before `ms`; -1 before the first. Times ascend. */
export function indexAt(times: readonly number[], ms: number): number {
  let [low, high] = [0, times.length];
  while (low < high) {
    const middle = (low + high) >> 1;
    if ((times[middle] ?? Infinity) <= ms) low = middle + 1;
    else high = middle;
  }
  return low - 1;
}

/** The last known value of a column at or before an index: a device does not repeat everything. */
export function lastKnown<T>(column: readonly (T | null)[] | undefined, index: number): { value: T; at: number } | null {
  for (let i = Math.min(index, (column?.length ?? 0) - 1); i >= 0; i -= 1) {
    const value = column?.[i];
    if (value !== null && value !== undefined) return { value, at: i };
  }
  return null;
}

/** 0 locked, 1 open, 2 rope cut; null where the device said nothing of its seal. */
export function sealLevels(columns: TrackColumns): (number | null)[] {
  return columns.observed_at.map((_, i) => {
    if (columns.rope_cut?.[i]) return 2;
    const locked = columns.locked?.[i];
    return locked === null || locked === undefined ? null : locked ? 0 : 1;
  });
}

/** Stretches of rows [first, last] in which a seal that had been locked was open or cut. */
export function alarmStretches(levels: readonly (number | null)[]): [number, number][] {
  const found: [number, number][] = [];
  let armed = false;
  let open: [number, number] | null = null;
  levels.forEach((level, i) => {
    if (level === null) return;
    if (level === 0) {
      armed = true;
      open = null;
    } else if (armed) {
      if (open) open[1] = i;
      else found.push((open = [i, i]));
    }
  });
  return found;
}
