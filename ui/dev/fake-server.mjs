// A stand-in for `cocket serve`, for work on the control room alone and for its load test.
//
//   node dev/fake-server.mjs [--port 8000] [--objects 180] [--always-objects] [--speed 60] [--quiet]
//
// It speaks the HTTP contract from generated data: nothing here is real and nothing is kept.
// Everything follows from one seed, so that two runs show the same picture.
import { createReadStream, existsSync, statSync } from 'node:fs';
import { createServer } from 'node:http';
import { extname, join, normalize } from 'node:path';
import { fileURLToPath } from 'node:url';
import { make } from './fake-customs.mjs';

const argument = (name, fallback) => {
  const at = process.argv.indexOf(`--${name}`);
  return at < 0 ? fallback : process.argv[at + 1];
};
const flag = (name) => process.argv.includes(`--${name}`);
const OBJECTS = Number(argument('objects', '180'));
const SPEED = Number(argument('speed', '60'));
const ALWAYS_OBJECTS = flag('always-objects');
const STATIC = fileURLToPath(new URL('../../src/cocket/web/static', import.meta.url));

let seed = 20_061_122;
const random = () => {
  seed = (Math.imul(seed, 1_664_525) + 1_013_904_223) >>> 0;
  return seed / 4_294_967_296;
};
const pick = (list) => list[Math.floor(random() * list.length)];

const START = Date.parse('2026-11-20T06:00:00Z');
const bootedAt = performance.now();
const nowMs = () => START + (performance.now() - bootedAt) * SPEED + 6 * 3_600_000;
const iso = (ms) => new Date(ms).toISOString();

const OFFICES = [
  ['CN-LUH', 'Luohu Control Point', 'CN', 22.5317, 114.1146],
  ['CN-HUA', 'Huanggang / Lok Ma Chau', 'CN', 22.519, 114.0745],
  ['CN-SZB', 'Shenzhen Bay Control Point', 'CN', 22.5036, 113.948],
  ['CN-STJ', 'Shatoujiao Control Point', 'CN', 22.5478, 114.2255],
  ['CN-MKT', 'Man Kam To Control Point', 'CN', 22.5375, 114.129],
  ['CN-BAO', 'Bao’an Inland Depot', 'CN', 22.6412, 113.8303],
  ['CN-LGG', 'Longgang Dry Port', 'CN', 22.7208, 114.2466],
].map(([id, name, country, lat_deg, lon_deg]) => ({ id, name, country, lat_deg, lon_deg }));

const LINES = {
  'bay-west': [[113.948, 22.5036], [113.935, 22.52], [113.918, 22.551], [113.887, 22.585], [113.852, 22.622], [113.8303, 22.6412]],
  'huanggang-north': [[114.0745, 22.519], [114.062, 22.545], [114.048, 22.58], [114.035, 22.63], [114.03, 22.67], [114.045, 22.705]],
  'luohu-east': [[114.1146, 22.5317], [114.135, 22.555], [114.165, 22.57], [114.2, 22.562], [114.2255, 22.5478]],
  'mankamto-longgang': [[114.129, 22.5375], [114.14, 22.575], [114.165, 22.62], [114.205, 22.665], [114.2466, 22.7208]],
  'ring-south': [[113.948, 22.5036], [113.985, 22.528], [114.03, 22.535], [114.0745, 22.519], [114.1146, 22.5317]],
};
const corridors = {
  type: 'FeatureCollection',
  features: Object.entries(LINES).map(([id, coordinates]) => ({
    type: 'Feature',
    id,
    geometry: { type: 'LineString', coordinates },
    properties: { half_width_m: 400, name: id.replace('-', ' – '), speed_limit_mps: 22.2 },
  })),
};
const ring = (lat, lon, km, n = 24) =>
  Array.from({ length: n + 1 }, (_, i) => [
    lon + (km / 102.8) * Math.cos((2 * Math.PI * (i % n)) / n),
    lat + (km / 110.6) * Math.sin((2 * Math.PI * (i % n)) / n),
  ]);
const zone = (id, kind, name, lat, lon, km) => ({
  type: 'Feature',
  id,
  geometry: { type: 'Polygon', coordinates: [ring(lat, lon, km)] },
  properties: { kind, name, changed_at: iso(START), changed_by: 'fake' },
});
const zones = {
  type: 'FeatureCollection',
  features: [
    ...OFFICES.slice(0, 5).map((o) => zone(`z-${o.id}`, 'office', o.name, o.lat_deg, o.lon_deg, 0.9)),
    zone('z-bao', 'departure', 'Bao’an Inland Depot', 22.6412, 113.8303, 1.6),
    zone('z-lgg', 'destination', 'Longgang Dry Port', 22.7208, 114.2466, 1.6),
    zone('z-rest', 'approved-stop', 'Meilin services', 22.583, 114.046, 0.8),
    zone('z-mil', 'restricted', 'Wutong depot', 22.585, 114.21, 1.7),
    zone('z-unlock', 'unlock-permitted', 'Inspection yard 3', 22.534, 114.033, 0.7),
    zone('z-dead', 'dead-zone', 'Yangtai tunnel', 22.648, 113.955, 1.9),
  ],
};

const LETTERS = 'ABCDEFGHJKLMNPRSTUVWXYZ';
const digits = (n) => Array.from({ length: n }, () => Math.floor(random() * 10)).join('');
const letters = (n) => Array.from({ length: n }, () => pick(LETTERS)).join('');
const GOODS = [
  ['perishable', 'Chilled seafood, whole', '030289', 2, 8],
  ['electronics', 'Lithium-ion accumulators', '850760', null, null],
  ['textiles', 'Cotton T-shirts, knitted', '610910', null, null],
  ['pharma', 'Vaccines for human medicine', '300241', 2, 8],
  ['spirits', 'Grape brandy in bottles', '220820', null, null],
];

const along = (line, share) => {
  const legs = line.slice(1).map((p, i) => Math.hypot(p[0] - line[i][0], p[1] - line[i][1]));
  let left = share * legs.reduce((a, b) => a + b, 0);
  for (let i = 0; i < legs.length; i += 1) {
    if (left <= legs[i] || i === legs.length - 1) {
      const k = Math.min(1, left / legs[i]);
      const [a, b] = [line[i], line[i + 1]];
      const course = (Math.atan2((b[0] - a[0]) * 0.924, b[1] - a[1]) * 180) / Math.PI;
      return { lon: a[0] + (b[0] - a[0]) * k, lat: a[1] + (b[1] - a[1]) * k, course: (course + 360) % 360 };
    }
    left -= legs[i];
  }
  return { lon: line[0][0], lat: line[0][1], course: 0 };
};

const movements = [];
for (let i = 0; i < OBJECTS; i += 1) {
  const corridor = pick(Object.keys(LINES));
  const goods = pick(GOODS);
  const scatter = OBJECTS > 1_000;
  movements.push({
    mrn: `26CN${letters(2)}${digits(10)}${letters(1)}${digits(1)}`,
    equipment: `${pick(['MSKU', 'TGHU', 'CMAU', 'OOLU', 'TCLU'])}${digits(7)}`,
    device: `ESL-${String(4_000 + i)}`,
    corridor,
    goods,
    risk: pick(['low', 'low', 'medium', 'high']),
    phase: random(),
    period: (3_000 + random() * 5_400) * 1_000,
    off: [(random() - 0.5) * (scatter ? 0.07 : 0.004), (random() - 0.5) * (scatter ? 0.06 : 0.003)],
    battery: 25 + random() * 75,
    departed: START - random() * 8 * 3_600_000,
    state: 'normal',
    ended: random() < 0.04,
  });
}
const positionOf = (m, ms) => {
  const turn = ((((ms - START) / m.period + m.phase) % 2) + 2) % 2;
  const back = turn > 1;
  const at = along(LINES[m.corridor], back ? 2 - turn : turn);
  const still = m.state === 'silent' || m.ended;
  return {
    lat: at.lat + m.off[1],
    lon: at.lon + m.off[0],
    course: back ? (at.course + 180) % 360 : at.course,
    speed: still ? 0 : 8 + 7 * Math.sin((ms / 60_000 + m.phase * 60) % (2 * Math.PI)) ** 2,
  };
};
const frozen = new Map();
const rowOf = (m, ms) => {
  const still = m.ended || m.state === 'silent';
  if (still && !frozen.has(m.device)) frozen.set(m.device, ms);
  const at = still ? frozen.get(m.device) : ms - (m.phase * 30_000) % 30_000;
  const p = positionOf(m, at);
  return [m.mrn, m.device, +p.lat.toFixed(6), +p.lon.toFixed(6), Math.round(p.course), m.ended ? null : +p.speed.toFixed(1), m.ended ? 'ended' : m.state, Math.round(at)];
};

const KINDS = [
  ['seal-cut', 'critical', null, null, null],
  ['unlock-outside-zone', 'critical', null, null, null],
  ['restricted-zone', 'high', null, null, null],
  ['route-deviation', 'high', 2_640, 'm', 2_000],
  ['route-deviation', 'warn', 830, 'm', 500],
  ['unscheduled-stop', 'warn', 1_260, 's', 900],
  ['silence', 'high', 5_400, 's', 1_200],
  ['gnss-jamming', 'high', 340, 's', 120],
  ['low-battery', 'warn', 13, 'pct', 15],
  ['zone-left', 'info', null, null, null],
  ['speeding', 'info', 27.4, 'mps', 24.4],
  ['temperature-excursion', 'warn', 11.4, 'c', 8],
];
const RANK = { info: 0, warn: 1, high: 2, critical: 3 };
const STATES = ['raised', 'acknowledged', 'triaged', 'driver-contacted', 'unit-dispatched', 'on-scene', 'closed'];
const alerts = new Map();
let serial = 0;
let eventSeq = 0;
const feed = [];
const listeners = new Set();
const publish = (alert) => {
  eventSeq += 1;
  feed.push([eventSeq, alert]);
  if (feed.length > 5_000) feed.shift();
  for (const listener of listeners) listener(eventSeq, alert);
};
const raise = (m, kind, at) => {
  const [code, severity, value, unit, threshold] = kind;
  const p = positionOf(m, at);
  serial += 1;
  const open = (Math.imul(serial, 2_654_435_761) >>> 0).toString(16).padStart(8, '0');
  const id = `${open}${open.split('').reverse().join('')}`;
  const zoneId = code === 'restricted-zone' ? 'z-mil' : code.startsWith('zone-') ? 'z-rest' : null;
  const alert = {
    id, code, severity, mrn: m.mrn, equipment_id: m.equipment, device_id: m.device, subject: zoneId,
    began_at: iso(at - (unit === 's' ? value * 1_000 : 20_000)), ended_at: severity === 'info' ? iso(at) : null,
    raised_at: iso(at), late: random() < 0.06, superseded: false, superseded_at: null, superseded_reason: null, count: random() < 0.3 ? 1 + Math.floor(random() * 14) : 1,
    state: 'raised', triage: null, cause: null, acknowledged_by: null, lat_deg: p.lat, lon_deg: p.lon,
    says: `${code} on ${m.equipment}`, facts: { value, unit, threshold, zone: zoneId, corridor: m.corridor },
    version: 1, history: [], evidence: [],
  };
  alert.evidence = [-90_000, 0, 60_000, 120_000].map((d, i) => ({ roles: [['began', 'raised', 'worst', 'last'][i]], key: String(i), observation: {
    ...observation(m, at + d),
    ...(code === 'seal-cut' && i > 0 ? { rope_cut: true, locked: true } : {}),
    ...(code === 'unlock-outside-zone' && i > 0 ? { locked: false, unlock_method: 'card', card_id: '0009127755' } : {}),
    ...(code === 'gnss-jamming' && i > 0 ? { fix_valid: false } : {}),
  } }));
  alerts.set(id, alert);
  if (RANK[severity] > (RANK[m.state] ?? -1)) m.state = code === 'silence' ? 'silent' : severity;
  return alert;
};
const listed = ({ history: _h, evidence: _e, ...alert }) => alert;
function observation(m, ms) {
  const p = positionOf(m, ms);
  return {
    device_id: m.device, sequence: Math.floor((ms - START) / 30_000) + 10_000, observed_at: iso(ms), received_at: iso(ms + 1_400),
    time_quality: 'device', lat_deg: p.lat, lon_deg: p.lon, speed_mps: +p.speed.toFixed(2), course_deg: Math.round(p.course),
    altitude_m: null, hdop: 0.9, fix_valid: true, fix_source: 'gnss', locked: true, rope_inserted: true, rope_cut: false,
    casing_open: false, unlock_method: null, card_id: null, wrong_password: null, motor_stuck: false,
    battery_pct: Math.round(m.battery), battery_v: 3.7 + m.battery / 800, external_power: false, charging: false, gsm_signal: 18 + Math.round(6 * Math.sin(ms / 9e5)),
    temp_c: m.goods[3] === null ? null : +(5 + 2.5 * Math.sin(ms / 2.2e6 + m.phase * 6)).toFixed(1), humidity_pct: null, light_lux: null, shock_g: null, door_open: null,
    delayed: false, source: 'http',
  };
}
const first = nowMs();
for (let i = 0; i < 46 && movements.length; i += 1)
  raise(pick(movements.slice(0, 180)), KINDS[i % KINDS.length], first - random() * 5 * 3_600_000);
const change = (alert, patch, at) => {
  alert.history.push({ at: iso(at), by: patch.by, from: alert.state, to: patch.state, note: patch.note ?? null, cause: patch.cause ?? null, triage: patch.triage ?? null });
  alert.state = patch.state;
  if (patch.triage) alert.triage = patch.triage;
  if (patch.cause) alert.cause = patch.cause;
  if (patch.state === 'acknowledged') alert.acknowledged_by = patch.by;
  alert.version += 1;
  publish(listed(alert));
};
[...alerts.values()].slice(0, 14).forEach((alert, i) => {
  if (i % 3 === 0) change(alert, { state: 'acknowledged', by: 'M. Okafor' }, first - 60_000);
  if (i % 6 === 0) change(alert, { state: 'triaged', triage: 'genuine', by: 'M. Okafor' }, first - 30_000);
  if (i === 6) change(alert, { state: 'unit-dispatched', by: 'L. Tremblay', note: 'Patrol 7, ten minutes out' }, first);
});
const ticker = setInterval(() => {
  if (random() < 0.25 && alerts.size < 400) {
    const alert = raise(pick(movements.slice(0, 180)), pick(KINDS), nowMs());
    publish(listed(alert));
  }
}, 1_000);
ticker.unref();

const quarantine = ['{"device_id":"ESL-4003","observed_at":"2026-11-20T11:02:31Z","lat_deg":222.531,"lon_deg":114.11}', '{"device_id":"","observed_at":"2026-11-20T11:05:00Z","lat_deg":22.53,"lon_deg":114.1}', '{"device_id":"ESL-4010","observed_at":"yesterday","battery_pct":81}', '{"device_id":"ESL-4011","observed_at":"2026-11-20T11:07:10Z","battery_pct":180}'].map((raw, i) => ({
  id: String(i + 1), received_at: iso(START + i * 61_000), source: 'http', row: i * 3,
  field: ['lat_deg', 'device_id', 'observed_at', 'battery_pct'][i], rule: ['range', 'required', 'time', 'range'][i],
  detail: ['lat_deg is 222.531; allowed -90 to 90', 'device_id is empty', "observed_at 'yesterday' is not RFC 3339", 'battery_pct is 180; allowed 0 to 100'][i],
  raw, raw_base64: Buffer.from(raw).toString('base64'), protocol: null, device_id: null, state: 'held',
}));

const stats = () => ({
  observations: Math.floor((nowMs() - START) / 1_000) * 9, duplicates: 412, rejected: quarantine.length, lag_observations: 0, alerts: alerts.size,
  open_alerts: [...alerts.values()].filter((a) => a.state !== 'closed').length,
  alerts_by_code: [...alerts.values()].reduce((all, a) => ({ ...all, [a.code]: (all[a.code] ?? 0) + 1 }), {}),
  movements: movements.length, devices: movements.length, rate_per_s: 9 * SPEED, now: iso(nowMs()),
});
const summary = (m) => {
  const row = rowOf(m, nowMs());
  const mine = [...alerts.values()].filter((a) => a.mrn === m.mrn && a.state !== 'closed');
  return {
    ...movement(m), ...file.standing(m), equipment: [m.equipment], devices: [m.device], open_alerts: mine.length,
    worst: mine.map((a) => a.severity).sort((a, b) => RANK[b] - RANK[a])[0] ?? null,
    last: { observed_at: iso(row[7]), lat_deg: row[2], lon_deg: row[3], speed_mps: row[5], course_deg: row[4], locked: true, battery_pct: Math.round(m.battery) },
  };
};
const movement = (m) => ({
  mrn: m.mrn, corridor: m.corridor, departure_office: 'CN-BAO', destination_office: 'CN-HUA', departed_at: iso(m.departed), limit_at: iso(m.departed + 14 * 3_600_000),
  arrived_at: m.ended ? iso(first) : null, risk: m.risk, goods: m.goods[0], temp_min_c: m.goods[3], temp_max_c: m.goods[4], authorised_cards: ['0004411210', '0004411211'],
  consignments: [{ ucr: `26CN91440300${m.device.slice(4)}A`, hs: m.goods[2], description: m.goods[1], gross_mass_kg: 8_000 + Math.round(m.phase * 14_000) }],
  flags: m.phase < 0.1 ? ['mrn-check-digit'] : [],
});
const bindingOf = (m) => ({ id: `b-${m.device}`, device_id: m.device, equipment_id: m.equipment, mrn: m.mrn, from: iso(m.departed - 600_000), to: m.ended ? iso(first) : null, by: 'seal desk', flags: m.phase > 0.9 ? ['iso6346-check-digit'] : [] });
const trackOf = (m, points) => {
  const until = nowMs();
  const step = Math.max(30_000, (until - m.departed) / points);
  const columns = { observed_at: [], speed_mps: [], battery_pct: [], temp_c: [], locked: [], rope_cut: [], fix_valid: [], gsm_signal: [], lat_deg: [], lon_deg: [] };
  const cut = [...alerts.values()].find((a) => a.mrn === m.mrn && a.code === 'seal-cut');
  for (let ms = m.departed; ms < until; ms += step) {
    const o = observation(m, ms);
    o.battery_pct = Math.round(m.battery + (until - ms) / 1.2e6);
    o.rope_cut = cut ? ms > Date.parse(cut.began_at) : false;
    for (const name of Object.keys(columns)) columns[name].push(o[name]);
  }
  return {
    type: 'FeatureCollection',
    features: [{ type: 'Feature', geometry: { type: 'LineString', coordinates: columns.lon_deg.map((lon, i) => [lon, columns.lat_deg[i]]) },
      properties: { device_id: m.device, equipment_id: m.equipment, from: iso(m.departed), to: null, rows: columns.lat_deg.length, thinned: false, columns } }],
  };
};

const json = (res, body, status = 200) => {
  res.writeHead(status, { 'content-type': status >= 400 ? 'application/problem+json' : 'application/json', 'cache-control': 'no-store' });
  res.end(JSON.stringify(body));
};
const problem = (res, status, title, detail) => json(res, { type: 'about:blank', title, status, detail }, status);
const bytesOf = async (req) => {
  const parts = [];
  for await (const part of req) parts.push(part);
  return Buffer.concat(parts);
};
const bodyOf = async (req) => JSON.parse((await bytesOf(req)).toString() || '{}');
const paged = (items, query) => {
  const limit = Number(query.get('limit') ?? 100);
  const from = Number(query.get('cursor') ?? 0);
  return { items: items.slice(from, from + limit), next: from + limit < items.length ? String(from + limit) : null };
};

const file = make({ movements, nowMs, iso, json, problem, paged, bytesOf, random });

function stream(req, res, query) {
  res.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' });
  res.write(': hello\n\n');
  const topics = (query.get('topics') ?? '').split(',');
  const send = (event, data, id) => res.write(`${id ? `id: ${id}\n` : ''}event: ${event}\ndata: ${JSON.stringify(data)}\n\n`);
  const stops = [];
  if (topics.includes('alerts')) {
    const last = req.headers['last-event-id'] ?? query.get('last_event_id');
    if (last) for (const [seq, alert] of feed) if (seq > Number(last)) send('alert', alert, seq);
    const listener = (seq, alert) => send('alert', alert, seq);
    listeners.add(listener);
    stops.push(() => listeners.delete(listener));
  }
  let firstTime = true;
  const [w, s, e, n] = (query.get('bbox') ?? '-180,-90,180,90').split(',').map(Number);
  const zoom = Number(query.get('zoom') ?? 9);
  const tick = () => {
    if (topics.includes('stats')) send('stats', stats());
    if (!topics.includes('positions')) return;
    const now = nowMs();
    const rows = movements.map((m) => rowOf(m, now)).filter((r) => r[3] >= w && r[3] <= e && r[2] >= s && r[2] <= n);
    if (rows.length <= 2_000 || ALWAYS_OBJECTS) {
      send('positions', { now: iso(now), mode: 'objects', full: firstTime, objects: rows, total_in_view: rows.length });
    } else {
      const cells = new Map();
      const size = 180 / 2 ** (zoom + 2);
      for (const r of rows) {
        const key = `${Math.floor(r[3] / size)}/${Math.floor(r[2] / size)}`;
        const cell = cells.get(key) ?? [0, 0, 0, 'normal'];
        cells.set(key, [cell[0] + r[2], cell[1] + r[3], cell[2] + 1, (RANK[r[6]] ?? -1) > (RANK[cell[3]] ?? -1) ? r[6] : cell[3]]);
      }
      send('positions', { now: iso(now), mode: 'clusters', clusters: [...cells.values()].map((c) => [c[0] / c[2], c[1] / c[2], c[2], c[3]]), total_in_view: rows.length });
    }
    firstTime = false;
  };
  tick();
  const timer = setInterval(tick, 1_000);
  req.on('close', () => {
    clearInterval(timer);
    for (const stop of stops) stop();
  });
}

const DEMO = () => {
  const progress = Math.min(1, (performance.now() - bootedAt) / 240_000);
  return {
    real: ['Positions: 180 vehicles of the transbigdata Shenzhen excerpt (BSD-3).'],
    simulated: ['Customs declarations, seals, corridors and limit dates.', 'A stated share of incidents, several at once.'],
    speed: SPEED, started_at: iso(START), ends_at: iso(START + 240_000 * SPEED), progress, finished: progress >= 1,
    table: progress >= 1 ? { 'seal-cut': { injected: 4, found: 4, missed: 0, false: 0 }, 'route-deviation': { injected: 6, found: 6, missed: 0, false: 2 }, silence: { injected: 5, found: 4, missed: 1, false: 1 } } : null,
    incidents: null,
  };
};

async function apiCall(req, res, url) {
  const path = url.pathname.replace('/api/v1', '');
  const query = url.searchParams;
  const parts = path.split('/').filter(Boolean).map(decodeURIComponent);
  if (path === '/health') return json(res, { status: 'ok', version: '0.1.0', now: iso(nowMs()), clock: { kind: 'replay', speed: SPEED }, demo: !flag('quiet'), tiles: null });
  if (path === '/sign-in') return json(res, { sign_in: false, signed_in: false, password: false, provider: false });
  if (path === '/stream') return stream(req, res, query);
  if (path === '/stats') return json(res, stats());
  if (path === '/demo') return flag('quiet') ? problem(res, 404, 'Not found', 'No demonstration is running.') : json(res, DEMO());
  if (path === '/zones') return json(res, zones);
  if (path === '/corridors') return json(res, corridors);
  if (path === '/offices') return json(res, { items: OFFICES, next: null });
  if (path === '/alerts') {
    const has = (name, value) => !query.getAll(name).length || query.getAll(name).includes(value);
    const rows = [...alerts.values()].map(listed)
      .filter((a) => has('code', a.code) && has('severity', a.severity) && has('state', a.state) && has('mrn', a.mrn) && has('device_id', a.device_id))
      .filter((a) => !query.has('superseded') || a.superseded === (query.get('superseded') === 'true'))
      .filter((a) => !query.has('open') || (a.state !== 'closed') === (query.get('open') === 'true'))
      .sort((a, b) => (query.get('order') === 'urgent' ? RANK[b.severity] - RANK[a.severity] : 0) || b.raised_at.localeCompare(a.raised_at));
    return json(res, paged(rows, query));
  }
  if (parts[0] === 'alerts') {
    const alert = alerts.get(parts[1]);
    if (!alert) return problem(res, 404, 'Not found', `No alert ${parts[1]}.`);
    if (req.method !== 'PATCH') return json(res, alert);
    const patch = await bodyOf(req);
    const allowed = alert.state === 'raised' ? ['acknowledged'] : STATES.slice(STATES.indexOf(alert.state) + 1);
    if (!allowed.includes(patch.state)) return problem(res, 409, 'Impossible transition', `The alert is ${alert.state}; ${patch.state} is not possible. Allowed: ${allowed.join(', ') || 'nothing'}.`);
    if (patch.version !== undefined && patch.version !== alert.version) return problem(res, 409, 'Stale version', `Version ${patch.version} was changed meanwhile; now ${alert.version}.`);
    if (patch.state === 'closed' && !patch.cause) return problem(res, 422, 'Cause missing', 'A closed alert needs a cause.');
    change(alert, patch, nowMs());
    return json(res, listed(alert));
  }
  if ((await file.answer(req, res, path, parts, query)) !== false) return;
  if (path === '/movements') {
    const q = (query.get('q') ?? '').toLowerCase();
    const rows = movements.filter((m) => !q || `${m.mrn} ${m.equipment} ${m.device}`.toLowerCase().includes(q)).filter((m) => !query.has('open') || (query.get('open') === 'true') !== m.ended).map(summary).filter((m) => !query.get('state') || m.state === query.get('state'));
    return json(res, paged(rows, query));
  }
  if (parts[0] === 'movements') {
    const m = movements.find((one) => one.mrn === parts[1]);
    if (!m) return problem(res, 404, 'Not found', `No movement ${parts[1]}.`);
    if (parts[2] === 'track') return json(res, trackOf(m, Number(query.get('max_points') ?? 2_000)));
    return json(res, { ...movement(m), ...file.detail(m), bindings: [bindingOf(m)], open_alerts: summary(m).open_alerts, last: [{ ...observation(m, nowMs()) }] });
  }
  if (path === '/gateway') return json(res, { doors: ['tcp 127.0.0.1:5014 jt701', 'mqtt 127.0.0.1:1883'], connections: movements.length, devices_connected: movements.length, rows_waiting: 0, failing: null, mapping_faults: [], events: { connected: movements.length }, frames: { jt701: { observed: stats().observations, silent: 40, rejected: 3 } } });
  if (path === '/protocols') return json(res, { items: [{ name: 'jt701', title: 'JT701 e-seals', commands: { unlock: { doc: 'open the lock', parameters: { password: "the lock's password, six digits" }, two_persons: true } } }] });
  if (path === '/commands') return json(res, paged([], query));
  if (parts[0] === 'devices' && parts[1]) {
    const m = movements.find((one) => one.device === parts[1]);
    if (!m) return problem(res, 404, 'Not found', `No device ${parts[1]}.`);
    if (parts[2] === 'last') return json(res, { device_id: m.device, observation: observation(m, rowOf(m, nowMs())[7]), binding: bindingOf(m), received_at: iso(nowMs() - 1_000) });
    return json(res, { id: m.device, class: 'e-seal', maker: 'Jointech', model: 'JT701', firmware: '2.13', owner: null, state: 'armed', protocol: 'jt701', networks: null, certificate_sha256: null, secret_sha256: null, report_interval_s: 30, authorised_cards: ['0004411210'], registered_at: iso(START - 9e8) });
  }
  if (path === '/quarantine') return json(res, paged(quarantine.filter((q) => !query.get('rule') || q.rule === query.get('rule')), query));
  if (parts[0] === 'quarantine') {
    const item = quarantine.find((one) => one.id === parts[1]);
    if (!item) return problem(res, 404, 'Not found', `No row ${parts[1]}.`);
    if (parts[2] !== 'replay') return json(res, item);
    const { row } = await bodyOf(req);
    if (!row || row.lat_deg > 90 || !row.device_id) return json(res, { accepted: 0, duplicates: 0, rejected: 1, rejects: [{ row: 0, field: item.field, rule: item.rule, detail: item.detail }] });
    item.state = 'replayed';
    return json(res, { accepted: 1, duplicates: 0, rejected: 0, rejects: [] });
  }
  return problem(res, 404, 'Not found', `No ${path} here.`);
}

const TYPES = { '.html': 'text/html', '.js': 'text/javascript', '.css': 'text/css', '.json': 'application/json', '.svg': 'image/svg+xml' };
const server = createServer((req, res) => {
  const url = new URL(req.url, 'http://local');
  if (url.pathname.startsWith('/api/')) {
    apiCall(req, res, url).catch((error) => problem(res, 500, 'Fake server failed', String(error.stack)));
    return;
  }
  let file = join(STATIC, normalize(url.pathname));
  if (!existsSync(file) || !statSync(file).isFile()) file = join(STATIC, 'index.html');
  res.writeHead(200, {
    'content-type': TYPES[extname(file)] ?? 'application/octet-stream',
    'content-security-policy': "default-src 'self'; img-src 'self' data: blob:; style-src 'self'; worker-src 'self' blob:",
  });
  createReadStream(file).pipe(res);
});
server.listen(Number(argument('port', '0')), '127.0.0.1', () => {
  console.log(`http://127.0.0.1:${server.address().port}`);
});
