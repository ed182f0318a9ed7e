export type Route =
  | { page: 'live'; alert: string | null; vehicle: string | null }
  | { page: 'alerts'; alert: string | null }
  | { page: 'movements' }
  | { page: 'movement'; mrn: string; known: string | null }
  | { page: 'documents' }
  | { page: 'document'; id: string }
  | { page: 'seals' }
  | { page: 'seal'; id: string }
  | { page: 'guarantees' }
  | { page: 'guarantee'; grn: string }
  | { page: 'enquiries' }
  | { page: 'scan' }
  | { page: 'check' }
  | { page: 'trip'; token: string }
  | { page: 'device'; id: string }
  | { page: 'quarantine'; id: string | null; device: string | null }
  | { page: 'gateway' }
  | { page: 'about' }
  | { page: 'account' }
  | { page: 'accounts' }
  | { page: 'sign-in'; refused: string | null }
  | { page: 'owner' }
  | { page: 'welcome' }
  | { page: 'lost'; path: string };

export function parseRoute(path: string, search = ''): Route {
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  const query = new URLSearchParams(search);
  const [head, rest] = [parts[0], parts.slice(1).join('/')];
  switch (head) {
    case undefined:
      return { page: 'live', alert: query.get('alert'), vehicle: query.get('vehicle') };
    case 'alerts':
      return { page: 'alerts', alert: rest || null };
    case 'movements':
      return rest ? { page: 'movement', mrn: rest, known: query.get('known') } : { page: 'movements' };
    case 'documents':
      return rest ? { page: 'document', id: rest } : { page: 'documents' };
    case 'seals':
      return rest ? { page: 'seal', id: rest } : { page: 'seals' };
    case 'guarantees':
      return rest ? { page: 'guarantee', grn: rest } : { page: 'guarantees' };
    case 'enquiries':
    case 'scan':
    case 'check':
      return rest ? { page: 'lost', path } : { page: head };
    case 'account':
    case 'accounts':
    case 'owner':
    case 'welcome':
      return rest ? { page: 'lost', path } : { page: head };
    case 'sign-in':
      return rest ? { page: 'lost', path } : { page: 'sign-in', refused: query.get('refused') };
    case 'trip':
      return rest ? { page: 'trip', token: rest } : { page: 'lost', path };
    case 'devices':
      return rest ? { page: 'device', id: rest } : { page: 'lost', path };
    case 'quarantine':
      return { page: 'quarantine', id: rest || null, device: query.get('device') || null };
    case 'gateway':
      return rest ? { page: 'lost', path } : { page: 'gateway' };
    case 'about':
      return rest ? { page: 'lost', path } : { page: 'about' };
    default:
      return { page: 'lost', path };
  }
}

const part = encodeURIComponent;

export const to = {
  live: (query: { alert?: string | null; vehicle?: string | null } = {}) => {
    const search = new URLSearchParams();
    if (query.alert) search.set('alert', query.alert);
    if (query.vehicle) search.set('vehicle', query.vehicle);
    const text = search.toString();
    return text ? `/?${text}` : '/';
  },
  alerts: (id?: string | null) => (id ? `/alerts/${part(id)}` : '/alerts'),
  movements: () => '/movements',
  movement: (mrn: string, known?: string | null) =>
    `/movements/${part(mrn)}${known ? `?known=${part(known)}` : ''}`,
  documents: () => '/documents',
  document: (id: string) => `/documents/${part(id)}`,
  seals: () => '/seals',
  seal: (id: string) => `/seals/${part(id)}`,
  guarantees: () => '/guarantees',
  guarantee: (grn: string) => `/guarantees/${part(grn)}`,
  enquiries: () => '/enquiries',
  scan: () => '/scan',
  check: () => '/check',
  device: (id: string) => `/devices/${part(id)}`,
  quarantine: (id?: string | number | null, device?: string | null) =>
    (id === undefined || id === null ? '/quarantine' : `/quarantine/${part(String(id))}`) +
    (device ? `?device=${part(device)}` : ''),
  gateway: () => '/gateway',
  about: () => '/about',
  account: () => '/account',
  accounts: () => '/accounts',
  signIn: () => '/sign-in',
};

/** Who a page is for. A visitor's page shows nothing of the control room, and asks nothing of its doors. */
export type Audience = 'room' | 'gate' | 'visitor' | 'entry';
export function audienceOf(route: Route): Audience {
  if (route.page === 'check' || route.page === 'trip') return 'visitor';
  if (route.page === 'sign-in' || route.page === 'owner' || route.page === 'welcome') return 'entry';
  return route.page === 'scan' ? 'gate' : 'room';
}
