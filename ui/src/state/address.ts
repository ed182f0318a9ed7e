export type Route =
  | { page: 'live'; alert: string | null; vehicle: string | null }
  | { page: 'alerts'; alert: string | null }
  | { page: 'movements' }
  | { page: 'movement'; mrn: string }
  | { page: 'device'; id: string }
  | { page: 'quarantine'; id: string | null; device: string | null }
  | { page: 'gateway' }
  | { page: 'about' }
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
      return rest ? { page: 'movement', mrn: rest } : { page: 'movements' };
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
  movement: (mrn: string) => `/movements/${part(mrn)}`,
  device: (id: string) => `/devices/${part(id)}`,
  quarantine: (id?: string | number | null, device?: string | null) =>
    (id === undefined || id === null ? '/quarantine' : `/quarantine/${part(String(id))}`) +
    (device ? `?device=${part(device)}` : ''),
  gateway: () => '/gateway',
  about: () => '/about',
};
