import { access, type Me, type Ways } from '../api/access';
import { onRefusal } from '../api/client';
import { session } from './session.svelte';

/** Who sits here, where people sign in; where they don't, nothing of it shows. */
class Who {
  /** Null until the server has said it, and where it says nothing of the kind. */
  ways = $state.raw<Ways | null>(null);
  me = $state.raw<Me | null>(null);
  asked = $state(false);

  /** Whether the page for signing in has to come first. */
  stranger = $derived(this.asked && !!this.ways?.sign_in && !this.me);
  isOwner = $derived(!!this.me?.roles.includes('owner'));

  async load(): Promise<void> {
    try {
      this.ways = await access.ways();
      this.#is(this.ways.signed_in ? await access.me() : null);
    } catch {
      // No answer: the pages behind this one say that the line is down, and try again by themselves.
    } finally {
      this.asked = true;
    }
  }

  async signOut(everywhere = false): Promise<void> {
    try {
      await access.signOut(everywhere);
    } finally {
      // All that was read is forgotten with the page, also where the server does not answer.
      location.assign('/sign-in');
    }
  }

  /** A request was answered 401: the session is over, or it was not known yet that people sign in here. */
  gone(): void {
    if (this.me) location.reload();
    else if (!this.ways) void this.load();
  }

  #is(me: Me | null): void {
    this.me = me;
    if (me) session.operator = me.id;
  }
}

export const who = new Who();
onRefusal((status) => status === 401 && who.gone());
