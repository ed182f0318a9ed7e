import type { AlertState, Triage } from '../api/types';

/** The alert machine, as the server keeps it: forward only, steps may be skipped, but a raised
 * alert is first acknowledged. The screen offers only what the server would accept. */
export const ALERT_STATES: readonly AlertState[] = [
  'raised',
  'acknowledged',
  'triaged',
  'driver-contacted',
  'unit-dispatched',
  'on-scene',
  'closed',
];

export const TRIAGES: readonly Triage[] = ['false', 'technical', 'explained', 'genuine'];

export function nextStates(from: AlertState): AlertState[] {
  if (from === 'raised') return ['acknowledged'];
  return ALERT_STATES.slice(ALERT_STATES.indexOf(from) + 1);
}

export function canMove(from: AlertState, to: AlertState): boolean {
  return nextStates(from).includes(to);
}
