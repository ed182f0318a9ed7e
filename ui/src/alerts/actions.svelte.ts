import type { AlertState, Triage } from '../api/types';
import { desk } from '../state/desk.svelte';
import { session } from '../state/session.svelte';
import { nextStates, TRIAGES } from './machine';

export type Sheet = 'triage' | 'response' | 'close' | 'keys' | 'operator';
export const RESPONSES = ['driver-contacted', 'unit-dispatched', 'on-scene'] as const;

/**
 * What an operator can do with the selected alert, by button and by key alike. Nothing is decided
 * anonymously: the first action asks for the name, then goes on with what was meant.
 */
class Actions {
  sheet = $state<Sheet | null>(null);
  alertId = $state<string | null>(null);
  #meant: (() => void) | null = null;

  /** Runs it in the operator's name; asks for the name first where there is none. */
  signed(run: () => void): void {
    if (session.operator) return run();
    this.#meant = run;
    this.sheet = 'operator';
  }

  signedAs(name: string): void {
    session.setOperator(name);
    this.sheet = null;
    const meant = this.#meant;
    this.#meant = null;
    meant?.();
  }

  cancel(): void {
    this.sheet = null;
    this.#meant = null;
  }

  may(id: string | null, state: AlertState): boolean {
    const alert = id ? desk.find(id) : null;
    return !!alert && nextStates(alert.state).includes(state);
  }

  acknowledge(id: string): void {
    if (!this.may(id, 'acknowledged')) return;
    this.signed(() => desk.decide(id, { state: 'acknowledged' }));
  }

  /** Opens a sheet for an alert that has been taken up; one that is still raised is not triaged. */
  open(sheet: 'triage' | 'response' | 'close', id: string): void {
    const alert = desk.find(id);
    if (!alert) return;
    const wanted =
      sheet === 'triage'
        ? nextStates(alert.state).includes('triaged')
        : sheet === 'close'
          ? nextStates(alert.state).includes('closed')
          : RESPONSES.some((state) => nextStates(alert.state).includes(state));
    if (!wanted) return;
    this.signed(() => {
      this.alertId = id;
      this.sheet = sheet;
    });
  }

  triage(id: string, triage: Triage): void {
    this.sheet = null;
    desk.decide(id, { state: 'triaged', triage });
  }

  respond(id: string, state: (typeof RESPONSES)[number]): void {
    this.sheet = null;
    desk.decide(id, { state });
  }

  close(id: string, cause: string, note: string): void {
    this.sheet = null;
    desk.decide(id, { state: 'closed', cause, ...(note ? { note } : {}) });
  }

  nthTriage(n: number): Triage | undefined {
    return TRIAGES[n - 1];
  }
}

export const actions = new Actions();
