/** Times as people read them: the reader's own clock on screen, UTC in the hover text. */
const cache = new Map<string, Intl.DateTimeFormat>();

/** The reader's own way of writing dates, where the browser's languages name one for this language. */
function regional(locale: string): string {
  const wanted = globalThis.navigator?.languages ?? [];
  return wanted.find((tag) => tag.startsWith(`${locale}-`)) ?? (locale === 'en' ? 'en-GB' : locale);
}

function formatter(locale: string, options: Intl.DateTimeFormatOptions): Intl.DateTimeFormat {
  const key = locale + JSON.stringify(options);
  let found = cache.get(key);
  if (!found) {
    found = new Intl.DateTimeFormat(locale === 'en-CA' ? locale : regional(locale), options);
    cache.set(key, found);
  }
  return found;
}

const CLOCK = { hour: '2-digit', minute: '2-digit', second: '2-digit', hour12: false } as const;

export function clockTime(ms: number, locale: string): string {
  return formatter(locale, CLOCK).format(ms);
}

export function dayAndTime(ms: number, locale: string): string {
  return formatter(locale, { day: '2-digit', month: 'short', year: 'numeric', ...CLOCK }).format(ms);
}

/** The day is left out while it is the same as the server's day: an operator's shift is one day. */
export function shortTime(ms: number, nowMs: number, locale: string): string {
  const day = (at: number) => formatter('en-CA', { dateStyle: 'short' }).format(at);
  if (day(ms) === day(nowMs)) return clockTime(ms, locale);
  const sameYear = new Date(ms).getFullYear() === new Date(nowMs).getFullYear();
  return formatter(locale, {
    day: '2-digit',
    month: 'short',
    ...(sameYear ? {} : { year: 'numeric' as const }),
    hour: '2-digit',
    minute: '2-digit',
    hour12: false,
  }).format(ms);
}

export function utc(ms: number): string {
  return `${new Date(ms).toISOString().replace('T', ' ').replace(/\.000Z$/, 'Z').replace('Z', '')} UTC`;
}
