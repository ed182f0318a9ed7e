import { ask, request, withQuery, type Query } from './client';
import type { Page } from './types';
import type {
  CleanTrip,
  Code,
  DocumentAnswer,
  DocumentReport,
  DocumentSummary,
  Enquiry,
  EventAnswer,
  Evidence,
  Guarantee,
  MovementEvent,
  NewEvent,
  NewScan,
  NewTripLink,
  Scan,
  Seal,
  StampVerdict,
  Trip,
  TripLink,
} from './customs-types';
import type { CanonicalDocument } from '../customs/document';

const part = (name: string | number): string => encodeURIComponent(name);
const ofMovement = (mrn: string, rest: string) => `/movements/${part(mrn)}/${rest}`;

/** The doors of the customs file. */
export const customs = {
  /** `again`: the same bytes had come before. */
  sendDocument: async (file: Blob, name: string, by: string): Promise<DocumentAnswer & { again: boolean }> => {
    const path = withQuery('/documents', { name, by });
    const { status, body } = await ask<DocumentAnswer>(path, { method: 'POST', raw: file });
    return { ...body, again: status === 200 };
  },
  documents: (query: Query, signal?: AbortSignal) =>
    request<Page<DocumentSummary>>(withQuery('/documents', query), { signal }),
  document: (id: string, signal?: AbortSignal) =>
    request<CanonicalDocument>(`/documents/${part(id)}`, { signal }),
  documentReport: (id: string, signal?: AbortSignal) =>
    request<DocumentReport>(`/documents/${part(id)}/report`, { signal }),

  events: (mrn: string, query: Query, signal?: AbortSignal) =>
    request<Page<MovementEvent>>(withQuery(ofMovement(mrn, 'events'), query), { signal }),
  postEvent: (mrn: string, event: NewEvent) =>
    request<EventAnswer>(withQuery(ofMovement(mrn, 'events'), { by: event.by }), { method: 'POST', body: event }),
  sendEvidence: (mrn: string, file: Blob, by: string) =>
    request<Evidence>(withQuery(ofMovement(mrn, 'evidence'), { by }), { method: 'POST', raw: file }),
  cleanTrip: (mrn: string, signal?: AbortSignal) =>
    request<CleanTrip>(ofMovement(mrn, 'clean-trip'), { signal }),
  enquiries: (query: Query, signal?: AbortSignal) =>
    request<Page<Enquiry>>(withQuery('/enquiries', query), { signal }),

  links: (mrn: string, signal?: AbortSignal) =>
    request<Page<TripLink>>(ofMovement(mrn, 'links'), { signal }),
  makeLink: (mrn: string, expiresAt: string, by: string) =>
    request<NewTripLink>(withQuery(ofMovement(mrn, 'links'), { by }), { method: 'POST', body: { expires_at: expiresAt } }),
  revokeLink: (mrn: string, id: string, by: string) =>
    request<void>(withQuery(ofMovement(mrn, `links/${part(id)}`), { by }), { method: 'DELETE' }),
  trip: (token: string, signal?: AbortSignal) => request<Trip>(`/trips/${part(token)}`, { signal }),

  seals: (query: Query, signal?: AbortSignal) => request<Page<Seal>>(withQuery('/seals', query), { signal }),
  sealCounts: (signal?: AbortSignal) => request<{ by_state: Record<string, number> }>('/seal-stock', { signal }),
  seal: (id: string, signal?: AbortSignal) => request<Seal>(`/seals/${part(id)}`, { signal }),
  putSeal: (id: string, facts: Record<string, string>, by: string) =>
    request<Seal>(withQuery(`/seals/${part(id)}`, { by }), { method: 'PUT', body: facts }),
  postSealEvent: (id: string, { by, ...event }: NewEvent) =>
    request<Seal>(withQuery(`/seals/${part(id)}/events`, { by }), { method: 'POST', body: event }),

  guarantees: (query: Query, signal?: AbortSignal) =>
    request<Page<Guarantee>>(withQuery('/guarantees', query), { signal }),
  guarantee: (grn: string, signal?: AbortSignal) => request<Guarantee>(`/guarantees/${part(grn)}`, { signal }),
  putGuarantee: (grn: string, facts: Record<string, string>, by: string) =>
    request<Guarantee>(withQuery(`/guarantees/${part(grn)}`, { by }), { method: 'PUT', body: facts }),
  postGuaranteeEvent: (grn: string, { by, ...event }: NewEvent) =>
    request<unknown>(withQuery(`/guarantees/${part(grn)}/events`, { by }), { method: 'POST', body: event }),

  codes: (mrn: string, signal?: AbortSignal) => request<Page<Code>>(withQuery('/codes', { mrn }), { signal }),
  issueCode: (wanted: Record<string, string>, by: string) =>
    request<Code>(withQuery('/codes', { by }), { method: 'POST', body: wanted }),
  voidCode: (id: Code['id'], reason: string, by: string) =>
    request<Code>(withQuery(`/codes/${part(id)}/void`, { by }), { method: 'POST', body: { reason } }),
  scan: (scan: NewScan) => request<Scan>(withQuery('/scans', { by: scan.by }), { method: 'POST', body: scan }),
  checkStamp: (code: string) => request<StampVerdict>('/stamps/checks', { method: 'POST', body: { code } }),
};

/** Addresses of files that the server draws: links and pictures, not questions. */
export const files = {
  original: (id: string) => `/api/v1/documents/${part(id)}/original`,
  cleanTrip: (mrn: string, lang: string) => `/api/v1/movements/${part(mrn)}/clean-trip.pdf?lang=${lang}`,
  evidencePack: (mrn: string) => `/api/v1/movements/${part(mrn)}/evidence-pack.zip`,
  evidence: (mrn: string, id: string) => `/api/v1/movements/${part(mrn)}/evidence/${part(id)}`,
  qr: (id: Code['id']) => `/api/v1/codes/${part(id)}/qr.svg`,
  label: (id: Code['id']) => `/api/v1/codes/${part(id)}/label.pdf`,
};
