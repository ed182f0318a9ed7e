/** The movement's and the seal's events as an officer meets them: what each is about, and what it has to tell. */

export type FieldKind = 'text' | 'seals' | 'amount' | 'currency' | 'country' | 'office' | 'choice';
export interface EventField {
  name: string;
  kind: FieldKind;
  choices?: readonly string[];
  /** The catalogue's family of its choices, if not the field's own name. */
  words?: string;
  needed?: boolean;
}

export const STATES = [
  'draft', 'lodged', 'accepted', 'guarantee-reserved', 'control-decided', 'sealed', 'armed', 'released', 'departed', 'en-route',
  'incident', 'border-handover', 'arrived', 'seal-verified', 'unsealed', 'unloaded', 'discrepancies', 'discharged', 'not-released',
  'cancelled', 'overdue', 'enquiry', 'alternative-proof', 'debt', 'recovery', 'recovered',
] as const;

/** What happens on the way (EU code list CL019, and what else officers tell apart). */
export const INCIDENTS = ['deviation', 'reseal', 'tranship', 'danger', 'accident', 'other'] as const;

export type StateTone = 'normal' | 'info' | 'warn' | 'high' | 'critical' | 'ended';
const TONES: Record<string, StateTone> = {
  departed: 'normal', 'en-route': 'normal', 'border-handover': 'normal', arrived: 'normal', released: 'normal',
  incident: 'high', discrepancies: 'high', overdue: 'high', enquiry: 'high', 'alternative-proof': 'warn',
  debt: 'critical', recovery: 'critical', 'not-released': 'warn',
  discharged: 'ended', cancelled: 'ended', recovered: 'ended',
};
/** How a movement in this state is to be looked at. */
export const toneOf = (state: string | null): StateTone => TONES[state ?? ''] ?? 'info';

/** Events that take nothing forward: they can be recorded at any time, and stand last. */
const REMARKS = ['note', 'answer', 'appeal'];
/** Events that end or turn a movement: offered apart, so that none is pressed by accident. */
const GRAVE = ['reject', 'refuse-release', 'cancel', 'waive-seal', 'disarm', 'fall-overdue', 'reject-proof', 'establish-debt', 'start-recovery'];

export type Standing = 'step' | 'grave' | 'remark';
export const standingOf = (event: string): Standing =>
  REMARKS.includes(event) ? 'remark' : GRAVE.includes(event) ? 'grave' : 'step';

const RANK: Record<Standing, number> = { step: 0, grave: 1, remark: 2 };
/** Falls due by itself; nobody has to record it. */
const BY_CLOCK = 'fall-overdue';

/** What is allowed next, each once: steps first, then what ends or turns it, then remarks; the server's order within. */
export function ordered(allowed: readonly string[]): string[] {
  return [...new Set(allowed)].filter((event) => event !== BY_CLOCK).sort((a, b) => RANK[standingOf(a)] - RANK[standingOf(b)]);
}

const GRAVE_SEAL = ['lose', 'steal', 'quarantine'];
export const sealStandingOf = (event: string): Standing => (GRAVE_SEAL.includes(event) ? 'grave' : 'step');

const SEALS: EventField = { name: 'seals', kind: 'seals', needed: true };
const FIELDS: Record<string, readonly EventField[]> = {
  'reserve-guarantee': [
    { name: 'grn', kind: 'text', needed: true },
    { name: 'amount', kind: 'amount', needed: true },
    { name: 'currency', kind: 'currency', needed: true },
    { name: 'rate', kind: 'amount' },
  ],
  'decide-control': [{ name: 'control', kind: 'choice', choices: ['none', 'documents', 'examination', 'scan'] }],
  seal: [SEALS],
  reseal: [SEALS],
  'report-incident': [{ name: 'kind', kind: 'choice', choices: INCIDENTS, words: 'incidentKind', needed: true }],
  'hand-over': [
    { name: 'to', kind: 'office' },
    { name: 'authority', kind: 'text' },
    { name: 'country', kind: 'country' },
  ],
  'verify-seals': [{ name: 'result', kind: 'choice', choices: ['intact', 'broken', 'missing'], needed: true }],
  examine: [{ name: 'result', kind: 'choice', choices: ['satisfactory', 'discrepancies'], needed: true }],
  recover: [{ name: 'amount', kind: 'amount' }],
};
export const fieldsOf = (event: string): readonly EventField[] => FIELDS[event] ?? [];

const ENTRY: readonly EventField[] = [
  { name: 'mrn', kind: 'text', needed: true },
  { name: 'amount', kind: 'amount', needed: true },
  { name: 'currency', kind: 'currency', needed: true },
];
export const guaranteeFieldsOf = (event: string): readonly EventField[] =>
  event === 'reserve' ? [...ENTRY, { name: 'rate', kind: 'amount' }] : event === 'call' ? ENTRY : ENTRY.slice(0, 1);

const REASONED = [
  'reject', 'refuse-release', 'cancel', 'waive-seal', 'reseal', 'appeal', 'answer', 'note', 'report-incident', 'accept-proof', 'reject-proof',
  'establish-debt', 'lose', 'steal', 'quarantine', 'find', 'call',
];
/** Events that nobody should record without words. */
export const wantsReason = (event: string): boolean => REASONED.includes(event);

const PROVEN = ['report-incident', 'appeal', 'offer-proof', 'report-discrepancies', 'examine', 'verify-seals', 'tranship'];
/** Events that a photo or a paper may prove. */
export const takesEvidence = (event: string): boolean => PROVEN.includes(event);

export interface FittedSeal {
  id: string;
  equipment_id: string;
}
export type Typed = Record<string, string>;

/** What was typed as the event's details: empty fields are left out, the rest is sent as it stands. */
export function detailsOf(fields: readonly EventField[], typed: Typed, seals: readonly FittedSeal[]): Record<string, string | FittedSeal[]> {
  const found: Record<string, string | FittedSeal[]> = {};
  for (const { name, kind } of fields) {
    const text = typed[name]?.trim() ?? '';
    if (kind === 'seals') found[name] = fitted(seals);
    else if (!text) continue;
    else if (kind === 'amount') found[name] = plainAmount(text) ?? text;
    else found[name] = kind === 'currency' || kind === 'country' ? text.toUpperCase() : text;
  }
  return found;
}

const fitted = (seals: readonly FittedSeal[]): FittedSeal[] =>
  seals
    .map(({ id, equipment_id }) => ({ id: id.trim(), equipment_id: equipment_id.trim() }))
    .filter(({ id, equipment_id }) => id || equipment_id);

/** Fields that must be filled in and are not. */
export const missing = (fields: readonly EventField[], typed: Typed, seals: readonly FittedSeal[]): string[] =>
  fields
    .filter(({ name, kind, needed }) => needed && (kind === 'seals' ? !fitted(seals).length || fitted(seals).some((one) => !one.id || !one.equipment_id) : !typed[name]?.trim()))
    .map(({ name }) => name);

/** `1 234,50` and `1234.5` as the exact decimal text that the server takes; null where it is no amount. */
export function plainAmount(text: string): string | null {
  const plain = text.replace(/[\s\u00a0\u202f']/g, '').replace(',', '.');
  return /^\d+(\.\d+)?$/.test(plain) ? plain : null;
}
