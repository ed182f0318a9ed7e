import type { MovementEvent } from '../api/customs-types';

/** The newest first, by the moment of the event, then by the order in which it was recorded. */
export function newestFirst(events: readonly MovementEvent[]): MovementEvent[] {
  return [...events].sort((a, b) => Date.parse(b.at) - Date.parse(a.at) || b.seq - a.seq);
}

/** A plain detail on one line, lists joined; empty where it says nothing. */
export function inWords(value: unknown): string {
  if (value === null || value === undefined || value === '') return '';
  if (Array.isArray(value)) return value.map(inWords).filter(Boolean).join(', ');
  if (typeof value === 'object')
    return Object.values(value as Record<string, unknown>).map(inWords).filter(Boolean).join(' · ');
  return String(value);
}
