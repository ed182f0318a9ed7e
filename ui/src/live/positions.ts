import type { ClusterRow, ObjectState, PositionRow, PositionsEvent } from '../api/types';

/** Every state of an object on the map, calmest first; the index is what the map's shader gets. */
export const OBJECT_STATES: readonly ObjectState[] = [
  'ended',
  'normal',
  'silent',
  'info',
  'warn',
  'high',
  'critical',
];

export function keyOf(row: PositionRow): string {
  return row[1] || (row[0] ?? '');
}

/**
 * What the map shows now: either single objects or clusters, never both. Events are folded in as
 * they come; drawing reads the result once per frame.
 */
export class PositionBook {
  readonly objects = new Map<string, PositionRow>();
  clusters: ClusterRow[] = [];
  mode: 'objects' | 'clusters' = 'objects';
  totalInView = 0;
  now: string | null = null;

  apply(event: PositionsEvent): void {
    this.now = event.now;
    this.totalInView = event.total_in_view;
    if (event.mode === 'clusters') {
      this.mode = 'clusters';
      this.clusters = event.clusters;
      this.objects.clear();
      return;
    }
    // Objects after clusters are always the whole picture, whatever the flag says.
    if (event.full || this.mode === 'clusters') this.objects.clear();
    this.mode = 'objects';
    this.clusters = [];
    for (const row of event.objects) this.objects.set(keyOf(row), row);
  }

  clear(): void {
    this.objects.clear();
    this.clusters = [];
    this.totalInView = 0;
  }

  countByState(): Record<ObjectState, number> {
    const counts = {} as Record<ObjectState, number>;
    for (const state of OBJECT_STATES) counts[state] = 0;
    for (const row of this.objects.values()) counts[row[6]] = (counts[row[6]] ?? 0) + 1;
    return counts;
  }
}

/** Runs `draw` at most once per animation frame, however often it is asked to. */
export function perFrame(
  draw: () => void,
  frame: (run: () => void) => number = (run) => requestAnimationFrame(run),
): () => void {
  let asked = false;
  return () => {
    if (asked) return;
    asked = true;
    frame(() => {
      asked = false;
      draw();
    });
  };
}
