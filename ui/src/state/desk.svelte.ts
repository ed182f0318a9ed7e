import { api, ApiProblem } from '../api/client';
import type { Alert, AlertPatch, Stats } from '../api/types';
import {
  asQuery,
  compare,
  isOpen,
  matches,
  NO_FILTER,
  overlay,
  take,
  type AlertFilter,
} from '../alerts/board';
import { canMove } from '../alerts/machine';
import { Outbox, type Action } from '../alerts/outbox';
import { LiveStream, type LineState } from '../live/stream';
import { perFrame } from '../live/positions';
import { clock } from './clock.svelte';
import { sentence, session, t } from './session.svelte';

export interface Notice {
  id: number;
  text: string;
  detail: string;
}

const PAGE = 200;
/** Stats come every second; this long without one means the line is dead, whatever TCP thinks. */
const SILENCE_MS = 8_000;

/**
 * The alert queue of this page: what the server said, what came live, and what the operator decided
 * that the server has not confirmed yet. The queue itself lives on the server and is shared.
 */
class Desk {
  line = $state<LineState>('connecting');
  everOpen = $state(false);
  lastHeardMs = $state<number | null>(null);
  stats = $state.raw<Stats | null>(null);
  loaded = $state(false);
  loading = $state(false);
  trouble = $state.raw<Error | null>(null);
  filter = $state<AlertFilter>({ ...NO_FILTER });
  notices = $state<Notice[]>([]);
  announcement = $state('');
  /** Rows not shown here that the server still has for this filter. */
  nextCursor = $state<string | null>(null);

  #known = new Map<string, Alert>();
  #seenCritical = new Set<string>();
  #revision = $state(0);
  #asked: AbortController | null = null;
  #noticeSerial = 0;
  #wasLost = false;
  #bump = perFrame(() => (this.#revision += 1));

  #outbox = new Outbox({
    patch: (id, patch) => api.patchAlert(id, patch),
    read: (id) => api.alert(id),
    storage: localStorage,
    onAlert: (alert) => this.#take(alert),
    onRefused: (action, problem) => this.#refused(action, problem),
    onChange: () => (this.#revision += 1),
  });

  #stream = new LiveStream({
    address: (lastId) =>
      '/api/v1/stream?topics=alerts,stats' +
      (lastId === null ? '' : `&last_event_id=${encodeURIComponent(lastId)}`),
    events: {
      alert: (data) => this.#live(data as Alert),
      stats: (data) => this.#stats(data as Stats),
      reset: () => void this.reload(),
    },
    onState: (state) => this.#lineIs(state),
    silenceMs: SILENCE_MS,
  });

  pending = $derived.by(() => (void this.#revision, this.#outbox.actions.length));

  /** The queue as it is shown: filtered, ordered, with unconfirmed changes laid over it. */
  queue = $derived.by(() => {
    void this.#revision;
    const shown: Alert[] = [];
    for (const alert of this.#known.values()) {
      const now = overlay(alert, this.#outbox.for(alert.id));
      if (matches(now, this.filter)) shown.push(now);
    }
    return shown.sort(compare(this.filter.order));
  });

  /** Alerts that nobody has closed, as far as this page has read; there may be more on the server. */
  openCount = $derived.by(() => {
    void this.#revision;
    let here = 0;
    for (const alert of this.#known.values()) if (isOpen(alert)) here += 1;
    return here;
  });

  #started = false;

  /** Once, however often the control room is entered. */
  start(): void {
    if (this.#started) return;
    this.#started = true;
    addEventListener('offline', () => this.#stream.interrupt());
    addEventListener('online', () => {
      this.#stream.restart();
      void this.#outbox.flush();
    });
    this.#stream.start();
    void this.reload();
    void this.#outbox.flush();
  }

  find(id: string): Alert | null {
    void this.#revision;
    const alert = this.#known.get(id);
    return alert ? overlay(alert, this.#outbox.for(id)) : null;
  }

  learn(alert: Alert): void {
    if (take(this.#known, alert)) this.#bump();
  }

  isPending(id: string): boolean {
    void this.#revision;
    return this.#outbox.for(id).length > 0;
  }

  ofMovement(mrn: string): Alert[] {
    void this.#revision;
    return [...this.#known.values()]
      .filter((alert) => alert.mrn === mrn)
      .map((alert) => overlay(alert, this.#outbox.for(alert.id)))
      .sort((a, b) => b.began_at.localeCompare(a.began_at));
  }

  /** Decides on an alert. Shown at once; false if the alert's state does not allow it. */
  decide(id: string, patch: Omit<AlertPatch, 'by' | 'version'>): boolean {
    const shown = this.find(id);
    if (!shown || !canMove(shown.state, patch.state)) return false;
    this.#outbox.add(shown, { ...patch, by: session.operator }, Date.now());
    return true;
  }

  /** Reads the first page for the filter. What is known stays on screen meanwhile. */
  async reload(): Promise<void> {
    this.#asked?.abort();
    const asked = (this.#asked = new AbortController());
    this.loading = true;
    try {
      const page = await api.alerts({ ...asQuery(this.filter), limit: PAGE }, asked.signal);
      for (const alert of page.items) this.#take(alert);
      this.nextCursor = page.next;
      this.trouble = null;
      this.loaded = true;
    } catch (error) {
      if (asked.signal.aborted) return;
      this.trouble = error instanceof Error ? error : new Error(String(error));
    } finally {
      if (this.#asked === asked) this.loading = false;
    }
  }

  async more(): Promise<void> {
    if (!this.nextCursor) return;
    const query = { ...asQuery(this.filter), limit: PAGE, cursor: this.nextCursor };
    this.loading = true;
    try {
      const page = await api.alerts(query);
      for (const alert of page.items) this.#take(alert);
      this.nextCursor = page.next;
    } catch (error) {
      this.trouble = error instanceof Error ? error : new Error(String(error));
    } finally {
      this.loading = false;
    }
  }

  dismiss(id: number): void {
    this.notices = this.notices.filter((notice) => notice.id !== id);
  }

  #take(alert: Alert): void {
    if (alert.severity === 'critical') this.#seenCritical.add(alert.id);
    if (take(this.#known, alert)) this.#bump();
  }

  #live(alert: Alert): void {
    const fresh =
      alert.severity === 'critical' && alert.state === 'raised' && !this.#seenCritical.has(alert.id);
    this.#take(alert);
    if (fresh && !alert.superseded)
      this.announcement = t('queue.newCritical', { says: sentence(alert) });
  }

  #stats(stats: Stats): void {
    this.stats = stats;
    this.lastHeardMs = performance.now();
    clock.hear(stats.now);
  }

  #lineIs(state: LineState): void {
    this.line = state;
    if (state === 'lost') this.#wasLost = true;
    if (state !== 'open') return;
    this.everOpen = true;
    // Without an id to resume from, whatever happened while away has to be read again.
    if (this.#wasLost && (this.#stream.lastId === null || this.trouble)) void this.reload();
    this.#wasLost = false;
    void this.#outbox.flush();
  }

  #refused(action: Action, problem: ApiProblem): void {
    this.#noticeSerial += 1;
    const what = t(`alertState.${action.patch.state}`);
    this.notices = [
      ...this.notices,
      {
        id: this.#noticeSerial,
        text: t('refused.title', { what }),
        detail: problem.detail || problem.title,
      },
    ];
  }
}

export const desk = new Desk();
