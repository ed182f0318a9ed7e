import { ApiProblem, NoAnswer } from '../api/client';
import type { Alert, AlertPatch, AlertState } from '../api/types';
import { canMove } from './machine';

/** One change an operator decided on and the server has not yet confirmed. */
export interface Action {
  key: string;
  alertId: string;
  /** What the operator saw when deciding: the change is only repeated while this still holds. */
  from: AlertState;
  patch: AlertPatch;
  decidedAt: number;
}

export interface OutboxDoor {
  patch: (id: string, patch: AlertPatch) => Promise<Alert>;
  read: (id: string) => Promise<Alert>;
  storage: Pick<Storage, 'getItem' | 'setItem' | 'removeItem' | 'key' | 'length'>;
  /** The server's word on an alert, after a confirmed change or a refused one. */
  onAlert: (alert: Alert) => void;
  onRefused: (action: Action, problem: ApiProblem) => void;
  onChange: () => void;
  later?: (run: () => void, ms: number) => void;
}

const PREFIX = 'cocket.outbox/';
const RETRY_MS = [1_000, 2_000, 4_000, 8_000, 15_000];

/**
 * Changes to alerts, kept until the server has confirmed or refused each one.
 *
 * They are shown at once, sent one at a time in the order decided, and survive a lost network, a
 * reload and a closed page. A conflict is looked at, not guessed: if only the version moved on (the
 * condition repeated, say) the change is sent again; if it had in fact arrived, it counts as done;
 * if someone else was faster, it is taken back and said so.
 */
export class Outbox {
  #door: OutboxDoor;
  #actions: Action[] = [];
  #sending = false;
  #failures = 0;
  #serial = 0;
  #waiting = false;

  constructor(door: OutboxDoor) {
    this.#door = door;
    const found: Action[] = [];
    for (let i = 0; i < door.storage.length; i += 1) {
      const name = door.storage.key(i);
      if (!name?.startsWith(PREFIX)) continue;
      const text = door.storage.getItem(name);
      if (text) found.push(JSON.parse(text) as Action);
    }
    this.#actions = found.sort((a, b) => a.decidedAt - b.decidedAt || a.key.localeCompare(b.key));
  }

  get actions(): readonly Action[] {
    return this.#actions;
  }

  for(alertId: string): AlertPatch[] {
    return this.#actions.filter((a) => a.alertId === alertId).map((a) => a.patch);
  }

  add(shown: Alert, patch: AlertPatch, at: number): void {
    this.#serial += 1;
    const follows = this.#actions.some((a) => a.alertId === shown.id);
    const action: Action = {
      key: `${at.toString(36)}-${this.#serial.toString(36)}-${shown.id}`,
      alertId: shown.id,
      from: shown.state,
      // A change that follows an unconfirmed one cannot know its version yet.
      patch: follows ? patch : { ...patch, version: shown.version },
      decidedAt: at,
    };
    this.#actions.push(action);
    this.#door.storage.setItem(PREFIX + action.key, JSON.stringify(action));
    this.#door.onChange();
    void this.flush();
  }

  /** Sends what is waiting. Safe to call at any time: one sender runs at once. */
  async flush(): Promise<void> {
    if (this.#sending) return;
    this.#sending = true;
    try {
      let action = this.#actions[0];
      while (action) {
        await this.#send(action);
        this.#failures = 0;
        action = this.#actions[0];
      }
    } catch (error) {
      if (!this.#mayRetry(error)) throw error;
      this.#retryLater();
    } finally {
      this.#sending = false;
    }
  }

  #mayRetry(error: unknown): boolean {
    return (
      error instanceof NoAnswer ||
      (error instanceof ApiProblem && (error.status >= 500 || error.status === 429))
    );
  }

  #retryLater(): void {
    if (this.#waiting) return;
    this.#waiting = true;
    const wait = RETRY_MS[Math.min(this.#failures, RETRY_MS.length - 1)] ?? 15_000;
    this.#failures += 1;
    (this.#door.later ?? ((run, ms) => void setTimeout(run, ms)))(() => {
      this.#waiting = false;
      void this.flush();
    }, wait);
  }

  async #send(action: Action): Promise<void> {
    try {
      this.#confirmed(action, await this.#door.patch(action.alertId, action.patch));
    } catch (error) {
      if (!(error instanceof ApiProblem) || this.#mayRetry(error)) throw error;
      if (error.status !== 409) return this.#refuse(action, error, null);
      const now = await this.#door.read(action.alertId);
      if (now.state === action.patch.state && sameChange(now, action.patch))
        return this.#confirmed(action, now);
      if (now.state === action.from && canMove(now.state, action.patch.state)) {
        try {
          const patch = { ...action.patch, version: now.version };
          this.#confirmed(action, await this.#door.patch(action.alertId, patch));
          return;
        } catch (again) {
          if (!(again instanceof ApiProblem) || this.#mayRetry(again)) throw again;
          return this.#refuse(action, again, await this.#door.read(action.alertId));
        }
      }
      this.#refuse(action, error, now);
    }
  }

  #forget(gone: (action: Action) => boolean): void {
    for (const action of this.#actions.filter(gone))
      this.#door.storage.removeItem(PREFIX + action.key);
    this.#actions = this.#actions.filter((action) => !gone(action));
  }

  #confirmed(action: Action, alert: Alert): void {
    this.#forget((a) => a.key === action.key);
    const next = this.#actions.find((a) => a.alertId === action.alertId);
    if (next) next.patch = { ...next.patch, version: alert.version };
    this.#door.onAlert(alert);
    this.#door.onChange();
  }

  #refuse(action: Action, problem: ApiProblem, now: Alert | null): void {
    // What was decided on top of the refused change has lost its ground too.
    this.#forget((a) => a.alertId === action.alertId);
    if (now) this.#door.onAlert(now);
    this.#door.onRefused(action, problem);
    this.#door.onChange();
  }
}

function sameChange(now: Alert, patch: AlertPatch): boolean {
  if (patch.state === 'acknowledged') return now.acknowledged_by === patch.by;
  if (patch.triage && now.triage !== patch.triage) return false;
  if (patch.cause && now.cause !== patch.cause) return false;
  return true;
}
