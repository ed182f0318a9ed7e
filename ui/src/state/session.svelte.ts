import type { Alert } from '../api/types';
import { alertSentence, codeName } from '../i18n/sentence';
import { isKey, LOCALES, message, type Locale, type MessageKey, type Params } from '../i18n/message';

export type Theme = 'dark' | 'light';

function stored(name: string): string | null {
  try {
    return localStorage.getItem(`cocket.${name}`);
  } catch {
    return null; // Storage is forbidden in this browser: settings then last as long as the page.
  }
}

function store(name: string, value: string): void {
  try {
    localStorage.setItem(`cocket.${name}`, value);
  } catch {
    // As above: the choice still holds for this page.
  }
}

function firstLocale(): Locale {
  const wanted = stored('locale') ?? navigator.language.slice(0, 2);
  return wanted === 'fr' ? 'fr' : 'en';
}

const dark = matchMedia('(prefers-color-scheme: dark)');

/** What belongs to this desk: language, colours, and the operator's name. */
class Session {
  locale = $state<Locale>(firstLocale());
  operator = $state(stored('operator') ?? '');
  #chosen = $state<Theme | null>((stored('theme') as Theme | null) ?? null);
  #system = $state<Theme>(dark.matches ? 'dark' : 'light');
  theme = $derived<Theme>(this.#chosen ?? this.#system);

  constructor() {
    dark.addEventListener('change', () => (this.#system = dark.matches ? 'dark' : 'light'));
  }

  setLocale(locale: Locale): void {
    this.locale = locale;
    store('locale', locale);
  }

  setTheme(theme: Theme): void {
    this.#chosen = theme;
    store('theme', theme);
  }

  setOperator(name: string): void {
    this.operator = name.trim();
    store('operator', this.operator);
  }

  apply(): void {
    const root = document.documentElement;
    root.lang = this.locale;
    root.dir = LOCALES[this.locale].dir;
    root.dataset['theme'] = this.theme;
  }
}

export const session = new Session();

/** A message in the page's language. Reading it in a template follows a change of language. */
export const t = (key: MessageKey, params?: Params): string =>
  message(session.locale, key, params);
export const kind = (code: string): string => codeName(session.locale, code);
export const sentence = (alert: Alert): string => alertSentence(session.locale, alert);

/** The words for one value of a family (`movementState.armed`); one that this page does not know reads as it is named. */
export function word(family: string, code: string | null | undefined): string {
  if (!code) return t('common.unknown');
  const key = `${family}.${code}`;
  return isKey(key) ? t(key) : code.replaceAll(/[-_]/g, ' ');
}
