import { ALERT_STATES } from './machine';
import type { Alert, AlertPatch, AlertState, Severity } from '../api/types';

export interface AlertFilter {
  codes: string[];
  severities: Severity[];
  states: AlertState[];
  /** open: everything not closed and not superseded; closed; all */
  scope: 'open' | 'closed' | 'all';
  text: string;
  order: 'urgent' | 'newest';
}

export const NO_FILTER: AlertFilter = {
  codes: [],
  severities: [],
  states: [],
  scope: 'open',
  text: '',
  order: 'urgent',
};

const RANK: Record<Severity, number> = { critical: 3, high: 2, warn: 1, info: 0 };

export function severityRank(severity: Severity): number {
  return RANK[severity] ?? 0;
}

/** Takes an alert in unless a newer version of it is already there. True if it changed anything. */
export function take(known: Map<string, Alert>, alert: Alert): boolean {
  const held = known.get(alert.id);
  if (held && (held.version ?? 0) > (alert.version ?? 0)) return false;
  known.set(alert.id, alert);
  return true;
}

export function isOpen(alert: Alert): boolean {
  return alert.state !== 'closed' && !alert.superseded;
}

export function matches(alert: Alert, filter: AlertFilter): boolean {
  if (filter.scope === 'open' && !isOpen(alert)) return false;
  if (filter.scope === 'closed' && alert.state !== 'closed') return false;
  if (filter.codes.length && !filter.codes.includes(alert.code)) return false;
  if (filter.severities.length && !filter.severities.includes(alert.severity)) return false;
  if (filter.states.length && !filter.states.includes(alert.state)) return false;
  const text = filter.text.trim().toLowerCase();
  if (!text) return true;
  return [
    alert.mrn,
    alert.equipment_id,
    alert.device_id,
    alert.code,
    alert.says,
    alert.subject,
    alert.acknowledged_by,
  ].some((field) => field?.toLowerCase().includes(text));
}

/** Urgent: nobody looks at it yet, then the worst, then the newest. Newest: by when it was raised. */
export function compare(order: AlertFilter['order']): (a: Alert, b: Alert) => number {
  const newest = (a: Alert, b: Alert) =>
    b.raised_at.localeCompare(a.raised_at) || a.id.localeCompare(b.id);
  if (order === 'newest') return newest;
  const waiting = (alert: Alert) => (alert.state === 'raised' ? 1 : 0);
  return (a, b) =>
    severityRank(b.severity) - severityRank(a.severity) ||
    waiting(b) - waiting(a) ||
    newest(a, b);
}

/** What the screen shows while a change is on its way to the server. */
export function overlay(alert: Alert, patches: readonly AlertPatch[]): Alert {
  let shown = alert;
  for (const patch of patches) {
    shown = {
      ...shown,
      state: patch.state,
      triage: patch.triage ?? shown.triage,
      cause: patch.cause ?? shown.cause,
      acknowledged_by:
        patch.state === 'acknowledged' ? patch.by : shown.acknowledged_by,
    };
  }
  return shown;
}

/** The filter as a query of the API, so that the server looks where this page has not. */
export function asQuery(filter: AlertFilter): Record<string, string | string[] | boolean> {
  const query: Record<string, string | string[] | boolean> = { order: filter.order };
  // The server's `open` leaves out what has ended by itself; here an alert is open until someone closes it.
  const states = filter.states.length
    ? filter.states
    : filter.scope === 'open'
      ? ALERT_STATES.filter((state) => state !== 'closed')
      : filter.scope === 'closed'
        ? (['closed'] as const)
        : [];
  if (filter.scope === 'open') query['superseded'] = false;
  if (filter.codes.length) query['code'] = filter.codes;
  if (filter.severities.length) query['severity'] = filter.severities;
  if (states.length) query['state'] = [...states];
  return query;
}
