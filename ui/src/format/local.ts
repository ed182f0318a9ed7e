/** Between the reader's own clock, as a datetime-local field has it, and the contract's moments. */

/** `2026-11-25T08:30` on the reader's clock as RFC 3339; null for what is no moment. */
export function momentOf(field: string): string | null {
  const ms = field ? Date.parse(field) : Number.NaN;
  return Number.isNaN(ms) ? null : new Date(ms).toISOString();
}

/** A moment as a datetime-local field takes it, to the second. */
export function fieldOf(at: string | number): string {
  const moment = new Date(at);
  if (Number.isNaN(moment.getTime())) return '';
  const two = (value: number) => String(value).padStart(2, '0');
  const day = `${moment.getFullYear()}-${two(moment.getMonth() + 1)}-${two(moment.getDate())}`;
  return `${day}T${two(moment.getHours())}:${two(moment.getMinutes())}:${two(moment.getSeconds())}`;
}
