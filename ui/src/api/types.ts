/** The words of the HTTP contract, version 1. Units are in the names; unknown is null, never 0. */
import type { MovementFile } from './customs-types';

export type Severity = 'info' | 'warn' | 'high' | 'critical';
export type AlertState =
  | 'raised'
  | 'acknowledged'
  | 'triaged'
  | 'driver-contacted'
  | 'unit-dispatched'
  | 'on-scene'
  | 'closed';
export type Triage = 'false' | 'technical' | 'explained' | 'genuine';
export type ObjectState = 'normal' | 'info' | 'warn' | 'high' | 'critical' | 'silent' | 'ended';

export interface Page<T> {
  items: T[];
  next: string | null;
}

export interface AlertFacts {
  /** What was measured when the alert was raised, and the worst since. */
  value: number | null;
  peak?: number | null;
  unit: string | null;
  threshold: number | null;
  zone: string | null;
  corridor: string | null;
}

export interface Alert {
  id: string;
  code: string;
  severity: Severity;
  mrn: string | null;
  equipment_id: string | null;
  device_id: string | null;
  subject: string | null;
  began_at: string;
  ended_at: string | null;
  raised_at: string;
  late: boolean;
  superseded: boolean;
  superseded_at: string | null;
  superseded_reason: string | null;
  count: number;
  state: AlertState;
  triage: Triage | null;
  cause: string | null;
  acknowledged_by: string | null;
  lat_deg: number | null;
  lon_deg: number | null;
  says: string;
  facts: AlertFacts | null;
  version: number;
}

export interface HistoryEntry {
  at: string;
  by: string | null;
  from: AlertState | null;
  to: AlertState;
  note: string | null;
  cause: string | null;
  triage: Triage | null;
}

/** An observation as the API gives it: any column of the schema may be there, each may be null. */
export interface Observation {
  observed_at: string;
  received_at?: string | null;
  device_id?: string;
  [column: string]: unknown;
}

/** An observation that proves an alert, and what it shows: where it began, was raised, worst, last. */
export interface Proof {
  roles: ('began' | 'raised' | 'worst' | 'last')[];
  key: string;
  observation: Observation;
}

export interface AlertDetail extends Alert {
  history: HistoryEntry[];
  evidence: Proof[];
}

export interface AlertPatch {
  state: Exclude<AlertState, 'raised'>;
  by: string;
  triage?: Triage;
  cause?: string;
  note?: string;
  version?: number;
}

/** Something that the server says is wrong with itself. */
export interface Alarm {
  code: string;
  since: string;
  detail: string;
  do: string;
}

export interface Health {
  status: string;
  version: string;
  now: string;
  clock: { kind: 'wall' | 'replay'; speed: number };
  demo: boolean;
  /** Set while observations are kept but not examined: status is then "degraded". */
  detail?: string | null;
  tiles?: string | null;
  attribution?: string | null;
  alarms?: Alarm[];
}

export interface Stats {
  observations: number;
  duplicates: number;
  rejected: number;
  lag_observations: number;
  alerts: number;
  open_alerts: number;
  alerts_by_code: Record<string, number>;
  movements: number;
  devices: number;
  rate_per_s: number;
  now: string;
}

export interface LastPosition {
  observed_at: string;
  lat_deg: number | null;
  lon_deg: number | null;
  speed_mps: number | null;
  course_deg: number | null;
  locked: boolean | null;
  battery_pct: number | null;
  device_id?: string;
  [column: string]: unknown;
}

export interface Consignment {
  ucr?: string | null;
  hs?: string | null;
  description?: string | null;
  gross_mass_kg?: number | null;
  [field: string]: unknown;
}

export interface Movement {
  mrn: string;
  corridor: string | null;
  departure_office: string | null;
  destination_office: string | null;
  departed_at: string | null;
  limit_at: string | null;
  arrived_at: string | null;
  risk: 'low' | 'medium' | 'high' | null;
  goods: string | null;
  temp_min_c: number | null;
  temp_max_c: number | null;
  authorised_cards: string[] | null;
  consignments: Consignment[] | null;
  flags: string[] | null;
}

export interface MovementSummary extends Movement {
  state: string | null;
  since: string | null;
  equipment: string[];
  devices: string[];
  open_alerts: number;
  worst: Severity | null;
  last: LastPosition | null;
}

export interface Binding {
  id: string;
  device_id: string;
  equipment_id: string;
  mrn: string;
  from: string;
  to: string | null;
  by?: string | null;
  flags?: string[] | null;
}

export interface MovementDetail extends Movement, MovementFile {
  bindings: Binding[];
  open_alerts: number;
  last: LastPosition[] | LastPosition | null;
}

export interface TrackColumns {
  observed_at: string[];
  speed_mps: (number | null)[];
  battery_pct: (number | null)[];
  temp_c: (number | null)[];
  locked: (boolean | null)[];
  rope_cut: (boolean | null)[];
  fix_valid: (boolean | null)[];
  gsm_signal: (number | null)[];
  lat_deg: (number | null)[];
  lon_deg: (number | null)[];
}

export interface TrackFeature {
  type: 'Feature';
  geometry: { type: 'LineString'; coordinates: [number, number][] } | null;
  properties: {
    device_id: string;
    equipment_id: string | null;
    from: string | null;
    to: string | null;
    rows: number;
    thinned: boolean;
    columns: TrackColumns;
  };
}

export interface Track {
  type: 'FeatureCollection';
  features: TrackFeature[];
}

export interface DeviceLast {
  device_id: string;
  observation: Observation | null;
  binding: Binding | null;
  received_at: string | null;
}

export interface Device {
  id: string;
  class: string | null;
  maker: string | null;
  model: string | null;
  firmware: string | null;
  owner: string | null;
  state: string | null;
  /** What it has to speak, and from where; null: any. */
  protocol: string | null;
  networks: string[] | null;
  /** Not null: a client certificate, a password is demanded of it. */
  certificate_sha256: string | null;
  secret_sha256: string | null;
  report_interval_s: number | null;
  authorised_cards: string[] | null;
  registered_at: string | null;
}

export type CommandState =
  | 'awaiting-approval'
  | 'queued'
  | 'sent'
  | 'done'
  | 'failed'
  | 'expired'
  | 'cancelled';

export interface Command {
  id: number;
  device_id: string;
  command: string;
  parameters: Record<string, unknown>;
  reason: string;
  by: string;
  at: string;
  state: CommandState;
  approved_by: string | null;
  approved_at: string | null;
  sent_at: string | null;
  answered_at: string | null;
  answer: string | null;
  expires_at: string;
}

export interface NewCommand {
  command: string;
  parameters: Record<string, unknown>;
  reason: string;
}

export interface Protocol {
  name: string;
  title: string;
  /** By name: what the command does, and what each of its parameters means. */
  commands: Record<string, { doc: string; parameters: Record<string, string>; two_persons: boolean }>;
}

export interface GatewayStats {
  /** One line a door: its kind, where it is, and what is spoken there. */
  doors: string[];
  connections: number;
  devices_connected: number;
  rows_waiting: number;
  /** Why nothing can be written at the moment. */
  failing: string | null;
  mapping_faults: string[];
  events: Record<string, number>;
  /** By protocol and outcome: observed, silent, rejected. */
  frames: Record<string, Record<string, number>>;
}

export interface Office {
  id: string;
  name: string | null;
  country: string | null;
  lat_deg: number | null;
  lon_deg: number | null;
}

export interface QuarantineItem {
  id: string | number;
  received_at: string;
  source: string | null;
  row: number | null;
  field: string | null;
  rule: string;
  detail: string;
  /** The bytes as text; what is no UTF-8 shows as U+FFFD. */
  raw: string | null;
  raw_base64: string | null;
  /** Of a device's frame: how its bytes are read, and who sent it where that is known. */
  protocol: string | null;
  device_id: string | null;
  state: 'held' | 'replayed' | 'discarded';
}

export interface Reject {
  row: number;
  field: string | null;
  rule: string;
  detail: string;
}

export interface Ingest {
  accepted: number;
  duplicates: number;
  rejected: number;
  rejects: Reject[];
}

export interface ConfusionRow {
  injected: number;
  found: number;
  missed: number;
  false: number;
  /** Alerts that the real tracks themselves explain, and such events that no alert tells of. */
  real?: number;
  real_missed?: number;
}

export interface Demo {
  real: string[];
  simulated: string[];
  speed: number;
  started_at: string | null;
  ends_at: string | null;
  progress: number;
  finished: boolean;
  table: Record<string, ConfusionRow> | null;
  incidents: { id: string; code: string; mrn: string; kind: string; at: string }[] | null;
}

/** mrn, device_id, lat, lon, course, speed_mps, state, observed_at in ms since 1970 */
export type PositionRow = [
  string | null,
  string,
  number,
  number,
  number | null,
  number | null,
  ObjectState,
  number,
];
/** lat, lon, count, worst state */
export type ClusterRow = [number, number, number, ObjectState];

export type PositionsEvent =
  | { now: string; mode: 'objects'; full: boolean; objects: PositionRow[]; total_in_view: number }
  | { now: string; mode: 'clusters'; clusters: ClusterRow[]; total_in_view: number };

export interface GeoFeature {
  type: 'Feature';
  id?: string | number;
  geometry: GeoJSON.Geometry;
  properties: Record<string, unknown>;
}
export interface GeoCollection {
  type: 'FeatureCollection';
  features: GeoFeature[];
}
