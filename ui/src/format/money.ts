/** Money as exact decimal text with its currency: grouped for reading, never turned into a floating number. */
import type { Maybe } from './measure';

/** `1234.50` and `EUR` in the page's language; every digit that was given is shown. Null for "not known". */
export function money(amount: Maybe<string>, currency: Maybe<string>, locale: string): string | null {
  if (amount === null || amount === undefined || amount === '') return null;
  if (!/^-?\d+(\.\d+)?$/.test(amount)) return currency ? `${amount} ${currency}` : amount;
  const digits = Math.max(2, amount.split('.')[1]?.length ?? 0);
  const figures = new Intl.NumberFormat(locale, { minimumFractionDigits: digits, maximumFractionDigits: digits });
  // Decimal text is formatted exactly; the type of the older library only knows numbers.
  const text = figures.format(amount as unknown as number);
  return currency ? `${text}\u00a0${currency}` : text;
}

/** How much of the amount is taken, 0 to 1, for drawing only. */
export function share(part: string, whole: string): number {
  const [a, b] = [Number(part), Number(whole)];
  return b > 0 && Number.isFinite(a) ? Math.min(1, Math.max(0, a / b)) : 0;
}
