/** The words of the customs file in the HTTP contract. Amounts are exact decimals as text, never numbers. */
import type { Fault } from './client';

export interface Custody {
  office: string | null;
  country: string | null;
  authority: string | null;
}
export interface MovementSeal {
  id: string;
  equipment_id: string | null;
  state: string | null;
  kind: string | null;
}
export interface MovementGuarantee {
  grn: string;
  amount: string | null;
  currency: string | null;
  state: string | null;
}
export interface Incident {
  seq: number;
  kind: string | null;
  at: string;
  office: string | null;
  text: string | null;
  open: boolean;
  [detail: string]: unknown;
}
export interface Deadline {
  event: string;
  due_at: string;
}
export interface DocumentLink {
  id: string;
  kind: string;
  received_at: string;
}
export interface Waiver {
  by: string | null;
  reason: string | null;
  at: string;
}

/** What the movement's machine knows of it; as known at a past moment where that was asked for. */
export interface MovementFile {
  state: string | null;
  since: string | null;
  allowed: string[] | null;
  custody: Custody | null;
  seals: MovementSeal[] | null;
  guarantee: MovementGuarantee | null;
  incidents: Incident[] | null;
  deadlines: Deadline[] | null;
  documents: DocumentLink[] | null;
  waiver: Waiver | null;
  sensitive: boolean | null;
}

export interface MovementEvent {
  seq: number;
  event: string;
  from_state: string | null;
  to_state: string | null;
  at: string;
  recorded_at: string;
  by: string | null;
  office: string | null;
  reason: string | null;
  details: Record<string, unknown> | null;
  document: string | null;
}
export interface NewEvent {
  event: string;
  at?: string;
  by: string;
  office?: string;
  reason?: string;
  [detail: string]: unknown;
}
export interface EventAnswer {
  mrn: string;
  state: string;
  from_state: string | null;
  events: MovementEvent[];
  allowed: string[];
}
export interface Evidence {
  id: string;
  sha256: string;
  size: number;
  media_type: string;
}

export interface Reason {
  rule: string;
  detail: string;
}
export interface CleanTrip {
  mrn: string;
  clean: boolean;
  reasons: Reason[];
  departed_at: string | null;
  arrived_at: string | null;
  distance_m: number | null;
  observations: number;
  longest_gap_s: number | null;
  coverage: number | null;
  seals: { id: string; device_id: string | null; closed_throughout: boolean | null }[];
  generated_at: string;
}

export interface Effect {
  machine: string;
  event: string;
  outcome: 'done' | 'waiting' | 'refused' | 'noted';
  detail: string | null;
}
export interface DocumentAnswer {
  id: string;
  kind: string;
  reference: string | null;
  mrn: string | null;
  lrn: string | null;
  flags: string[];
  unmapped: string[];
  movement: string | null;
  effects: Effect[];
}
export interface DocumentSummary {
  id: string;
  kind: string;
  reference: string | null;
  mrn: string | null;
  received_at: string;
  by: string | null;
  name: string | null;
  size: number;
  sha256: string;
  flags: string[];
}
export interface DocumentReport {
  mapped: { path: string; field: string }[];
  kept_raw: { path: string; value: string | null; why: string }[];
}

export interface Seal {
  id: string;
  kind: string | null;
  state: string;
  since: string | null;
  mrn: string | null;
  equipment_id: string | null;
  maker?: string | null;
  model?: string | null;
  type_approval?: string | null;
  /** A device of this name is registered. */
  device: boolean;
  allowed?: string[];
  history?: SealEvent[];
}
export interface SealEvent {
  seq?: number;
  event: string;
  from_state: string | null;
  to_state: string | null;
  at: string;
  recorded_at: string | null;
  by: string | null;
  reason: string | null;
  mrn?: string | null;
}

export interface Guarantee {
  grn: string;
  holder: string | null;
  type: string | null;
  amount: string;
  currency: string;
  reserved: string;
  called: string;
  available: string;
  valid_from: string | null;
  valid_to: string | null;
  entries?: GuaranteeEntry[];
}
export interface GuaranteeEntry {
  mrn: string;
  state: string;
  amount: string;
  currency: string;
  rate: string | null;
  since: string;
}

export interface Enquiry {
  mrn: string;
  state: string;
  since: string | null;
  limit_at: string | null;
  holder: string | null;
  departure_office: string | null;
  destination_office: string | null;
  deadlines: Deadline[];
}

export interface Use {
  at: string;
  gate: string | null;
  by: string | null;
}
export interface Code {
  id: number | string;
  purpose: string;
  mrn: string | null;
  equipment_id: string | null;
  text: string;
  short: string;
  kid: string;
  issued_at: string;
  valid_from: string | null;
  valid_to: string | null;
  state: 'valid' | 'used' | 'void' | 'expired';
  first_use: Use | null;
}
export interface NewScan {
  code: string;
  gate?: string;
  office?: string;
  by: string;
  at: string;
}
export interface Scan {
  id: number | string;
  outcome: 'accepted' | 'refused';
  purpose: string | null;
  mrn: string | null;
  equipment_id: string | null;
  code_id: number | string | null;
  at: string;
  gate: string | null;
  reasons: Reason[];
  first_use: Use | null;
  effects: Effect[];
  state: string | null;
}
export interface StampVerdict {
  verdict: 'genuine' | 'suspect' | 'not-active' | 'false';
  says: string;
  product: string | null;
}

/** A link as the server keeps it: without its token, which it tells only once. */
export interface TripLink {
  id: string;
  created_at: string;
  created_by: string;
  expires_at: string;
  revoked_at: string | null;
}
export interface NewTripLink extends TripLink {
  token: string;
  path: string;
}
export interface Trip {
  state: string | null;
  departed_at: string | null;
  arrived_at: string | null;
  limit_at: string | null;
  from: string | null;
  to: string | null;
  last: { lat_deg: number; lon_deg: number; observed_at: string } | null;
  sealed: boolean | null;
  expires_at: string;
}

export type { Fault };
