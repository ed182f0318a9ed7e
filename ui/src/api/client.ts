import type {
  Alert,
  AlertDetail,
  AlertPatch,
  Command,
  Demo,
  Device,
  DeviceLast,
  GeoCollection,
  GeoFeature,
  GatewayStats,
  Health,
  Ingest,
  MovementDetail,
  MovementSummary,
  NewCommand,
  Office,
  Page,
  Protocol,
  QuarantineItem,
  Stats,
  Track,
} from './types';

export const BASE = '/api/v1';

export interface Fault {
  path?: string;
  rule?: string;
  detail?: string;
}

/** The server answered, and said no: an RFC 9457 problem document, or what could be read of one. */
export class ApiProblem extends Error {
  constructor(
    readonly status: number,
    readonly title: string,
    readonly detail: string,
    readonly errors: Fault[] = [],
    /** Members of the document beyond the standard's, such as what is allowed instead. */
    readonly more: Record<string, unknown> = {},
  ) {
    super(detail || title);
    this.name = 'ApiProblem';
  }
}

/** No answer came: the line is down, the server is gone, or the answer took too long. */
export class NoAnswer extends Error {
  constructor(cause: unknown) {
    super(cause instanceof Error ? cause.message : String(cause));
    this.name = 'NoAnswer';
  }
}

export type Query = Record<string, string | number | boolean | string[] | null | undefined>;

export function withQuery(path: string, query: Query): string {
  const params = new URLSearchParams();
  for (const [key, value] of Object.entries(query)) {
    if (value === null || value === undefined || value === '') continue;
    if (Array.isArray(value)) for (const one of value) params.append(key, one);
    else params.append(key, String(value));
  }
  const text = params.toString();
  return text ? `${path}?${text}` : path;
}

let told: (status: number) => void = () => {};
/** For whoever has to know that the server refused, and how. */
export const onRefusal = (tell: (status: number) => void): void => {
  told = tell;
};
/** Signing in fails by itself without ending anything. */
const BEFORE_SIGN_IN = /^\/(sign-in|owner-link|account-link|me\/)/;

const ANSWER_WITHIN_MS = 20_000;
/** A file over a slow line takes longer to send than a question. */
const SENT_WITHIN_MS = 180_000;

async function problemOf(response: Response): Promise<ApiProblem> {
  let body: unknown = null;
  try {
    body = await response.json();
  } catch {
    // Not JSON (a proxy's page, an empty body): the status alone has to speak.
  }
  const found = (body ?? {}) as { title?: string; detail?: unknown; errors?: [] };
  const detail = typeof found.detail === 'string' ? found.detail : '';
  return new ApiProblem(
    response.status,
    found.title ?? `HTTP ${response.status}`,
    detail,
    found.errors ?? [],
    found as Record<string, unknown>,
  );
}

export interface Asked {
  method?: string;
  body?: unknown;
  /** Bytes as they are, instead of a JSON body. */
  raw?: Blob;
  signal?: AbortSignal | undefined;
}

/** One request and its status. Raises ApiProblem when the server refused, NoAnswer when it did not answer. */
export async function ask<T>(path: string, options: Asked = {}): Promise<{ status: number; body: T }> {
  const patience = AbortSignal.timeout(options.raw ? SENT_WITHIN_MS : ANSWER_WITHIN_MS);
  const signal = options.signal ? AbortSignal.any([options.signal, patience]) : patience;
  const headers: Record<string, string> = { accept: 'application/json', 'x-cocket': '1' };
  if (options.raw) headers['content-type'] = options.raw.type || 'application/octet-stream';
  else if (options.body !== undefined) headers['content-type'] = 'application/json';
  let response: Response;
  try {
    response = await fetch(BASE + path, {
      method: options.method ?? 'GET',
      headers,
      body: options.raw ?? (options.body === undefined ? null : JSON.stringify(options.body)),
      signal,
    });
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new NoAnswer(error);
  }
  if (!response.ok) {
    if (!BEFORE_SIGN_IN.test(path)) told(response.status);
    throw await problemOf(response);
  }
  if (response.status === 204) return { status: 204, body: undefined as T };
  try {
    return { status: response.status, body: (await response.json()) as T };
  } catch (error) {
    if (options.signal?.aborted) throw error;
    throw new NoAnswer(error);
  }
}

export const request = async <T>(path: string, options: Asked = {}): Promise<T> =>
  (await ask<T>(path, options)).body;

const part = encodeURIComponent;

const FEATURES_A_PAGE = 1_000;
/** No map shows more than so many shapes at once usefully; one that is asked for by name is read singly. */
const MOST_PAGES = 3;

async function features(path: string): Promise<GeoCollection> {
  const found: GeoFeature[] = [];
  let cursor: string | null | undefined = null;
  for (let page = 0; page < MOST_PAGES; page += 1) {
    const answer: GeoCollection & { next?: string | null } = await request(
      withQuery(path, { limit: FEATURES_A_PAGE, cursor }),
    );
    found.push(...answer.features);
    cursor = answer.next;
    if (!cursor) break;
  }
  return { type: 'FeatureCollection', features: found };
}

export const api = {
  health: (signal?: AbortSignal) => request<Health>('/health', { signal }),
  stats: () => request<Stats>('/stats'),
  alerts: (query: Query, signal?: AbortSignal) =>
    request<Page<Alert>>(withQuery('/alerts', query), { signal }),
  alert: (id: string, signal?: AbortSignal) =>
    request<AlertDetail>(`/alerts/${part(id)}`, { signal }),
  patchAlert: (id: string, patch: AlertPatch) =>
    request<Alert>(`/alerts/${part(id)}`, { method: 'PATCH', body: patch }),
  movements: (query: Query, signal?: AbortSignal) =>
    request<Page<MovementSummary>>(withQuery('/movements', query), { signal }),
  movement: (mrn: string, known: string | null, signal?: AbortSignal) =>
    request<MovementDetail>(withQuery(`/movements/${part(mrn)}`, { as_known_at: known }), { signal }),
  track: (mrn: string, maxPoints: number, signal?: AbortSignal) =>
    request<Track>(
      withQuery(`/movements/${part(mrn)}/track`, { max_points: maxPoints, format: 'geojson' }),
      { signal },
    ),
  device: (id: string, signal?: AbortSignal) =>
    request<Device>(`/devices/${part(id)}`, { signal }),
  deviceLast: (id: string, signal?: AbortSignal) =>
    request<DeviceLast>(`/devices/${part(id)}/last`, { signal }),
  commands: (query: Query, signal?: AbortSignal) =>
    request<Page<Command>>(withQuery('/commands', query), { signal }),
  askCommand: (device: string, wanted: NewCommand, by: string) =>
    request<Command>(withQuery(`/devices/${part(device)}/commands`, { by }), {
      method: 'POST',
      body: wanted,
    }),
  approveCommand: (id: number, by: string) =>
    request<Command>(withQuery(`/commands/${id}/approve`, { by }), { method: 'POST', body: {} }),
  cancelCommand: (id: number, by: string) =>
    request<Command>(withQuery(`/commands/${id}/cancel`, { by }), { method: 'POST', body: {} }),
  protocols: (signal?: AbortSignal) => request<{ items: Protocol[] }>('/protocols', { signal }),
  gateway: (signal?: AbortSignal) => request<GatewayStats>('/gateway', { signal }),
  zones: () => features('/zones'),
  corridors: () => features('/corridors'),
  corridor: (id: string) => request<GeoFeature>(`/corridors/${part(id)}`),
  offices: () => request<Page<Office>>('/offices?limit=1000'),
  quarantine: (query: Query, signal?: AbortSignal) =>
    request<Page<QuarantineItem>>(withQuery('/quarantine', query), { signal }),
  quarantined: (id: string, signal?: AbortSignal) =>
    request<QuarantineItem>(`/quarantine/${part(id)}`, { signal }),
  replay: (id: string, row?: unknown) =>
    request<Ingest>(`/quarantine/${part(id)}/replay`, {
      method: 'POST',
      body: row === undefined ? {} : { row },
    }),
  demo: (signal?: AbortSignal) => request<Demo>('/demo', { signal }),
};
