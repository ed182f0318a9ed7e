import type { Deadline, Enquiry } from '../api/customs-types';

/** The nearest deadline, passed ones first; null where there is none. */
export function nearest(deadlines: readonly Deadline[] | null): Deadline | null {
  return (deadlines ?? []).reduce<Deadline | null>(
    (best, one) => (!best || Date.parse(one.due_at) < Date.parse(best.due_at) ? one : best),
    null,
  );
}

/** Enquiries as they have to be worked through: by the nearest deadline, else by the limit date, the undated last. */
export function byUrgency(enquiries: readonly Enquiry[]): Enquiry[] {
  const due = (one: Enquiry) => {
    const at = nearest(one.deadlines)?.due_at ?? one.limit_at;
    return at ? Date.parse(at) : Number.POSITIVE_INFINITY;
  };
  return [...enquiries].sort((a, b) => due(a) - due(b) || a.mrn.localeCompare(b.mrn));
}
