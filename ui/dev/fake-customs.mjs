// The customs file of the fake server: documents, events, seals, guarantees, codes, stamps and trips, from generated data.
// Nothing is real and nothing is kept. `make(world)` gives a function that answers a request, or false if it is not its own.

const NEXT = {
  draft: { lodge: 'lodged' }, lodged: { accept: 'accepted', reject: 'cancelled' }, accepted: { 'reserve-guarantee': 'guarantee-reserved', cancel: 'cancelled' },
  'guarantee-reserved': { 'decide-control': 'control-decided', cancel: 'cancelled' }, 'control-decided': { seal: 'sealed', release: 'released', 'refuse-release': 'not-released' },
  sealed: { arm: 'armed', release: 'released', reseal: 'sealed' }, armed: { release: 'released', disarm: 'sealed' }, released: { depart: 'departed', cancel: 'cancelled' },
  departed: { proceed: 'en-route', arrive: 'arrived', 'report-incident': 'incident' }, 'en-route': { arrive: 'arrived', 'report-incident': 'incident', 'hand-over': 'border-handover' },
  incident: { 'resolve-incident': 'en-route', reseal: 'incident', tranship: 'incident', arrive: 'arrived' }, 'border-handover': { proceed: 'en-route', arrive: 'arrived' },
  arrived: { 'verify-seals': 'seal-verified', examine: 'arrived', unload: 'unloaded', discharge: 'discharged' }, 'seal-verified': { unseal: 'unsealed', discharge: 'discharged' }, unsealed: { unload: 'unloaded', discharge: 'discharged' },
  unloaded: { discharge: 'discharged', 'report-discrepancies': 'discrepancies' }, discrepancies: { 'resolve-discrepancies': 'unloaded' },
  overdue: { 'open-enquiry': 'enquiry', arrive: 'arrived' }, enquiry: { 'offer-proof': 'alternative-proof', 'establish-debt': 'debt' }, 'alternative-proof': { 'accept-proof': 'discharged', 'reject-proof': 'enquiry' },
  debt: { 'start-recovery': 'recovery' }, recovery: { recover: 'recovered' }, discharged: {}, cancelled: {}, 'not-released': {}, recovered: {},
};
const SEAL_NEXT = {
  stock: { approve: 'type-approved', steal: 'stolen' }, 'type-approved': { lose: 'lost', quarantine: 'quarantined' }, armed: { alarm: 'alarm', disarm: 'disarmed', lose: 'lost' }, assigned: { alarm: 'alarm', lose: 'lost' },
  alarm: { clear: 'armed', disarm: 'disarmed' }, disarmed: { return: 'returned', lose: 'lost' }, returned: { charge: 'charged', quarantine: 'quarantined' }, charged: { lose: 'lost' }, lost: { find: 'quarantined' }, stolen: { find: 'quarantined' }, quarantined: { 'release-quarantine': 'returned' },
};
const DAY = 86_400_000;

export function make({ movements, nowMs, iso, json, problem, paged, bytesOf, random }) {
  const files = new Map();
  const fileOf = (m) => {
    if (!files.has(m.mrn)) {
      const fate = m.phase < 0.04 ? 'overdue' : m.phase < 0.07 ? 'enquiry' : m.phase < 0.12 ? 'accepted' : m.phase < 0.18 ? 'arrived' : 'en-route';
      const way = ['lodge', 'accept', 'reserve-guarantee', 'decide-control', 'seal', 'arm', 'release', 'depart', 'proceed'];
      const file = { state: 'draft', events: [], codes: [], links: [], incidents: [] };
      const end = { accepted: 2, arrived: 9, 'en-route': 9, overdue: 9, enquiry: 9 }[fate];
      way.slice(0, end).forEach((event, i) => push(file, event, { by: i < 4 ? 'NCTS' : 'A. Diallo', office: 'CN-BAO', at: iso(m.departed - (9 - i) * 240_000) }));
      if (fate === 'arrived') push(file, 'arrive', { by: 'gate 4', office: 'CN-HUA', at: iso(m.departed + 3e6) });
      if (fate === 'overdue' || fate === 'enquiry') file.state = fate;
      if (m.phase > 0.9) {
        push(file, 'report-incident', { by: 'J. Mbeki', kind: 'accident', reason: 'Rear axle, km 41. Load untouched.', at: iso(m.departed + 1.2e6) });
        file.incidents.push({ seq: file.events.at(-1).seq, kind: 'accident', at: file.events.at(-1).at, office: null, text: 'Rear axle, km 41. Load untouched.', open: true });
      }
      files.set(m.mrn, file);
    }
    return files.get(m.mrn);
  };
  let seq = 0;
  function push(file, event, { by, office = null, reason = null, at = iso(nowMs()), ...details }) {
    const to = NEXT[file.state]?.[event] ?? file.state;
    seq += 1;
    const one = { seq, event, from_state: file.state, to_state: to, at, recorded_at: iso(Math.min(nowMs(), Date.parse(at) + (random() < 0.2 ? 4e6 : 4_000))), by, office, reason, details, document: null };
    file.events.push(one);
    file.state = to;
    return one;
  }
  const allowed = (state) => [...Object.keys(NEXT[state] ?? {}), 'note'];
  const standing = (m) => {
    const { state, events } = fileOf(m);
    return { state, since: events.at(-1)?.at ?? null };
  };
  const late = (state) => ['overdue', 'enquiry'].includes(state);
  const detail = (m) => {
    const file = fileOf(m);
    return {
      ...standing(m), allowed: allowed(file.state), custody: { office: 'CN-BAO', country: 'CN', authority: null },
      seals: [{ id: m.device, equipment_id: m.equipment, state: 'armed', kind: 'e-seal' }, { id: `M${m.device.slice(4)}77`, equipment_id: m.equipment, state: 'assigned', kind: 'mechanical' }],
      guarantee: { grn: '24CN0000000014H72', amount: '18250.00', currency: 'EUR', state: 'reserved' }, incidents: file.incidents,
      deadlines: late(file.state) ? [{ event: 'open-enquiry', due_at: iso(m.departed + 3 * DAY) }, { event: 'establish-debt', due_at: iso(m.departed + 200 * DAY) }] : [{ event: 'fall-overdue', due_at: iso(m.departed + 14 * 3_600_000) }],
      documents: [{ id: 'd-1', kind: 'cc015c', received_at: iso(m.departed - 4e6) }, { id: 'd-2', kind: 'cc029c', received_at: iso(m.departed - 1e6) }],
      waiver: m.phase > 0.95 ? { by: 'L. Tremblay', reason: 'Live animals, checked by the veterinary office', at: iso(m.departed - 5e5) } : null, sensitive: m.risk === 'high',
    };
  };

  const documents = new Map();
  const document = (id, over = {}) => ({
    id, kind: 'cc015c', reference: '26CN4403AB00012345J7', mrn: movements[0]?.mrn ?? null, lrn: 'LRN-2026-0815', flags: ['iso6346-check-digit:MSKU1234560', 'totals:gross-mass /CC015C/Consignment/grossMass 18500.0 is not the items\' 18400.0'], unmapped: ['/CC015C/Consignment/PlaceOfLoading/x1'],
    origins: { '/consignments/0/items/0/hs': '/CC015C/Consignment/HouseConsignment[1]/ConsignmentItem[1]/Commodity/CommodityCode' },
    received_at: iso(nowMs() - 5e6), by: 'A. Diallo', sha256: 'a3f5'.repeat(16), media_type: 'application/xml', size: 14_233, name: 'CC015C.xml',
    function: 'original', procedure: 'transit', declaration_type: 'T1', gross_mass_kg: 18_500, limit_at: iso(nowMs() + DAY), countries: ['CN', 'KZ', 'PL'],
    offices: [{ role: 'departure', id: 'CN440300', name: 'Bao’an' }, { role: 'transit', id: 'KZ000111', arrival_at: iso(nowMs() + 9e7) }, { role: 'destination', id: 'PL301010', name: 'Warszawa' }],
    parties: [{ role: 'holder', id: 'CN9144030012345', name: 'Pearl River International Freight Forwarding and Customs Services Company Limited', address: { street: '88 Shennan Boulevard', city: 'Shenzhen', country: 'CN' } }],
    guarantees: [{ kind: '1', grn: '24CN0000000014H72', amount: '18250.00', currency: 'EUR', has_access_code: true, not_valid_in: [] }],
    consignments: [{ ucr: '26CN914403004001A', gross_mass_kg: 18_500, containerised: true, parties: [{ role: 'consignor', name: 'Longgang Accumulators' }, { role: 'consignee', name: 'Elektro Handel Sp. z o.o.' }], places: [{ role: 'loading', unlocode: 'CNSZX' }],
      equipment: [{ id: 'MSKU1234560', kind: '22G1', seals: [{ id: 'ESL-4001' }, { id: 'M400177', state: 'ok' }], goods_items: [1, 2] }],
      items: [{ number: 1, hs: '850760', description: 'Lithium-ion accumulators', gross_mass_kg: 12_400, net_mass_kg: 11_900, packages: [{ kind: 'CT', quantity: 480, marks: 'LGA 1-480' }], documents: [{ role: 'previous', kind: 'N785', id: 'MAN-77' }] }, { number: 2, hs: '610910', description: 'T-shirts and vests of cotton, knitted, for men and boys, assorted sizes and colours', gross_mass_kg: 6_000, net_mass_kg: 5_700, packages: [] }] }],
    ...over,
  });
  documents.set('d-1', document('d-1'));
  documents.set('d-2', document('d-2', { kind: 'cc029c', name: null }));
  const known = new Map();

  const seals = new Map();
  movements.slice(0, 24).forEach((m, i) => {
    const state = Object.keys(SEAL_NEXT)[i % 11];
    const on = ['assigned', 'armed', 'alarm'].includes(state);
    seals.set(m.device, { id: m.device, kind: i % 3 ? 'e-seal' : 'mechanical', maker: 'Jointech', model: 'JT701', type_approval: 'CN-2026-17', state, since: iso(nowMs() - i * 9e6), mrn: on ? m.mrn : null, equipment_id: on ? m.equipment : null, device: true, history: [{ seq: 1, event: 'approve', from_state: 'stock', to_state: 'type-approved', at: iso(nowMs() - 40 * DAY), recorded_at: iso(nowMs() - 40 * DAY), by: 'seal desk', reason: 'type approval given' }] });
  });
  const sealShown = (s) => ({ ...s, allowed: Object.keys(SEAL_NEXT[s.state]) });
  const guarantees = new Map([
    ['24CN0000000014H72', { grn: '24CN0000000014H72', holder: 'Pearl River International Freight Forwarding and Customs Services Company Limited', type: '1', amount: '250000.00', currency: 'EUR', reserved: '91250.00', called: '4000.50', available: '154749.50', valid_from: '2026-01-01T00:00:00Z', valid_to: '2027-01-01T00:00:00Z', entries: movements.slice(0, 5).map((m, i) => ({ mrn: m.mrn, state: ['reserved', 'reserved', 'released', 'called', 'reserved'][i], amount: '18250.00', currency: 'EUR', rate: null, since: iso(m.departed) })) }],
    ['24CN0000000022K10', { grn: '24CN0000000022K10', holder: null, type: '2', amount: '9000000.00', currency: 'XAF', reserved: '0.00', called: '0.00', available: '9000000.00', valid_from: null, valid_to: null, entries: [] }],
  ]);
  const codes = new Map();
  let code = 0;
  const scans = [];
  const trips = new Map([['demo', movements[0]?.mrn]]);
  const QR = '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 9 9"><path d="M0 0h3v3H0zM6 0h3v3H6zM0 6h3v3H0zM4 1h1v3H4zM4 5h3v1H4zM7 7h2v1H7z"/></svg>';

  const answer = async (req, res, path, parts, query) => {
    const body = async () => JSON.parse((await bytesOf(req)).toString() || '{}');
    const by = query.get('by') ?? 'somebody';
    const [head, id, more, last] = parts;
    const m = head === 'movements' && id ? movements.find((one) => one.mrn === id) : null;
    if (m && more === 'events' && req.method === 'POST') {
      const asked = await body();
      const file = fileOf(m);
      if (!allowed(file.state).includes(asked.event)) return json(res, { type: 'about:blank', title: 'Conflict', status: 409, detail: `movement ${m.mrn} is '${file.state}': '${asked.event}' is not possible`, state: file.state, event: asked.event, allowed: allowed(file.state), errors: [{ path: '/event', rule: 'impossible-transition', detail: 'not possible here' }] }, 409);
      const { event, ...rest } = asked;
      const from = file.state;
      const one = push(file, event, { by, ...rest });
      return json(res, { mrn: m.mrn, state: file.state, from_state: from, events: [one], allowed: allowed(file.state) }, 201);
    }
    if (m && more === 'events') {
      const then = query.get('as_known_at');
      return json(res, { items: fileOf(m).events.filter((one) => !then || one.recorded_at <= then), next: null });
    }
    if (m && more === 'evidence') return json(res, { id: 'e-1', sha256: '00', size: 1, media_type: 'image/png' }, 201);
    if (m && more === 'clean-trip')
      return json(res, { mrn: m.mrn, clean: m.phase > 0.6, reasons: m.phase > 0.6 ? [] : [{ rule: 'open-alert', detail: 'seal-cut since 11:20 is not closed' }, { rule: 'not-clean', detail: 'nothing was heard for 48 min' }], departed_at: iso(m.departed), arrived_at: null, distance_m: 84_200, observations: 412, longest_gap_s: 2_880, coverage: 0.94, seals: [{ id: m.device, device_id: m.device, closed_throughout: m.phase > 0.6 }], generated_at: iso(nowMs()) });
    if (m && more === 'links') {
      const file = fileOf(m);
      if (req.method === 'DELETE') {
        const gone = file.links.find((one) => one.id === last || one.token === last);
        if (gone) {
          gone.revoked_at = iso(nowMs());
          trips.delete(gone.token);
        }
        res.writeHead(204);
        return res.end();
      }
      if (req.method !== 'POST') return json(res, { items: file.links.map(({ token: _t, path: _p, ...one }) => one), next: null });
      const token = Math.floor(random() * 1e16).toString(36);
      trips.set(token, m.mrn);
      const link = { id: token.slice(0, 6), created_at: iso(nowMs()), created_by: by, revoked_at: null, token, path: `/trip/${token}`, expires_at: (await body()).expires_at };
      file.links.unshift(link);
      return json(res, link, 201);
    }
    if (head === 'trips') {
      const of = movements.find((one) => one.mrn === trips.get(id));
      if (!of) return problem(res, 404, 'Not found', 'There is no such link.');
      return json(res, { state: fileOf(of).state, departed_at: iso(of.departed), arrived_at: null, limit_at: iso(of.departed + 14 * 3_600_000), from: 'Bao’an Inland Depot', to: 'Huanggang / Lok Ma Chau', last: { lat_deg: 22.61, lon_deg: 114.03, observed_at: iso(nowMs() - 60_000) }, sealed: true, expires_at: iso(nowMs() + 3 * DAY) });
    }
    if (path === '/enquiries') return json(res, paged(movements.filter((one) => late(fileOf(one).state)).map((one) => ({ mrn: one.mrn, ...standing(one), limit_at: iso(one.departed + 14 * 3_600_000), holder: 'Pearl River International Freight', departure_office: 'CN-BAO', destination_office: 'CN-HUA', deadlines: detail(one).deadlines })), query));
    if (path === '/documents' && req.method === 'POST') {
      const bytes = (await bytesOf(req)).toString();
      if (!bytes.trim().startsWith('<')) return json(res, { type: 'about:blank', title: 'Refused', status: 422, detail: 'This is no document of a kind that is known here.', errors: [{ path: '/', rule: 'unknown-kind', detail: 'neither XML, EDIFACT, CSV nor Excel' }, { path: '/CC015C/TransitOperation/LRN', rule: 'pattern', detail: "'' has the wrong form; send 1 to 22 letters and digits" }] }, 422);
      const again = known.has(bytes);
      const made = again ? documents.get(known.get(bytes)) : document(`d-${documents.size + 1}`, { by, name: query.get('name'), size: bytes.length });
      documents.set(made.id, made);
      known.set(bytes, made.id);
      const { kind, reference, mrn, lrn, flags, unmapped } = made;
      return json(res, { id: made.id, kind, reference, mrn, lrn, flags, unmapped, movement: mrn, effects: [{ machine: 'movement', event: 'lodge', outcome: 'done', detail: null }, { machine: 'guarantee', event: 'reserve', outcome: 'waiting', detail: 'the movement is not accepted yet' }] }, again ? 200 : 201);
    }
    if (path === '/documents') {
      const q = (query.get('q') ?? '').toLowerCase();
      return json(res, paged([...documents.values()].filter((d) => (!query.get('kind') || d.kind === query.get('kind')) && `${d.reference} ${d.lrn} ${d.name}`.toLowerCase().includes(q)), query));
    }
    if (head === 'documents') {
      const found = documents.get(id);
      if (!found) return problem(res, 404, 'Not found', `There is no document ${id}.`);
      if (more === 'report') return json(res, { mapped: Array.from({ length: 61 }, (_, i) => ({ path: `/x${i}`, field: `/y${i}` })), kept_raw: [{ path: '/CC015C/Consignment/PlaceOfLoading/x1', value: 'BAOAN', why: 'the canonical model has no field for it' }] });
      if (more === 'original') return res.writeHead(200, { 'content-type': 'application/xml' }).end('<CC015C/>');
      return json(res, found);
    }
    if (path === '/seal-stock') return json(res, { by_state: [...seals.values()].reduce((all, s) => ({ ...all, [s.state]: (all[s.state] ?? 0) + 1 }), {}) });
    if (path === '/seals') {
      const q = (query.get('q') ?? '').toLowerCase();
      return json(res, paged([...seals.values()].filter((s) => (!query.get('state') || s.state === query.get('state')) && `${s.id} ${s.mrn} ${s.equipment_id}`.toLowerCase().includes(q)).map(sealShown), query));
    }
    if (head === 'seals') {
      if (req.method === 'PUT') seals.set(id, { id, maker: null, model: null, type_approval: null, ...(await body()), state: 'stock', since: iso(nowMs()), mrn: null, equipment_id: null, device: false, history: [] });
      const seal = seals.get(id);
      if (!seal) return problem(res, 404, 'Not found', `There is no seal ${id}.`);
      if (more === 'events') {
        const { event, reason = null } = await body();
        const to = SEAL_NEXT[seal.state][event];
        if (!to) return problem(res, 409, 'Conflict', `seal ${id} is '${seal.state}': '${event}' is not possible`);
        seal.history.push({ seq: seal.history.length + 1, event, from_state: seal.state, to_state: to, at: iso(nowMs()), recorded_at: iso(nowMs()), by, reason });
        Object.assign(seal, { state: to, since: iso(nowMs()) });
      }
      return json(res, sealShown(seal));
    }
    if (path === '/guarantees') return json(res, paged([...guarantees.values()].filter((g) => `${g.grn} ${g.holder}`.toLowerCase().includes((query.get('q') ?? '').toLowerCase())), query));
    if (head === 'guarantees') {
      if (req.method === 'PUT') {
        const facts = await body();
        guarantees.set(id, { grn: id, holder: null, type: null, valid_from: null, valid_to: null, ...facts, reserved: '0.00', called: '0.00', available: facts.amount, entries: [] });
      }
      const found = guarantees.get(id);
      if (!found) return problem(res, 404, 'Not found', `There is no guarantee ${id}.`);
      if (more === 'events') return json(res, { type: 'about:blank', title: 'Conflict', status: 409, detail: `guarantee ${id} has ${found.available} ${found.currency} available`, errors: [{ path: '/amount', rule: 'guarantee-exceeded', detail: `available ${found.available} ${found.currency}` }] }, 409);
      return json(res, found);
    }
    if (path === '/codes' && req.method === 'POST') {
      code += 1;
      const made = { id: code, equipment_id: null, ...(await body()), text: `CK1:${code}`, short: `7K4Q-${String(code).padStart(4, '0')}`, kid: 'k1', issued_at: iso(nowMs()), valid_from: iso(nowMs()), valid_to: iso(nowMs() + 10 * DAY), state: 'valid', first_use: null };
      codes.set(String(code), made);
      return json(res, made, 201);
    }
    if (path === '/codes') return json(res, { items: [...codes.values()].filter((one) => one.mrn === query.get('mrn')).reverse(), next: null });
    if (head === 'codes') {
      if (more === 'qr.svg') return res.writeHead(200, { 'content-type': 'image/svg+xml' }).end(QR);
      if (more === 'void') Object.assign(codes.get(id), { state: 'void' });
      return json(res, codes.get(id));
    }
    if (path === '/scans' && req.method === 'POST') {
      const asked = await body();
      const found = [...codes.values()].find((one) => one.text === asked.code || one.short === asked.code);
      const use = found?.first_use ?? null;
      const refused = !found || found.state !== 'valid';
      const reasons = !found ? [{ rule: 'unknown-code', detail: 'no such short code was issued here' }] : use ? [{ rule: 'already-used', detail: `it was used at ${use.at} at gate ${use.gate} by ${use.by}` }] : refused ? [{ rule: 'void', detail: 'it was made void' }] : [];
      if (!refused) Object.assign(found, { state: 'used', first_use: { at: asked.at, gate: asked.gate ?? null, by: asked.by } });
      const scan = { id: scans.length + 1, outcome: refused ? 'refused' : 'accepted', purpose: found?.purpose ?? null, mrn: found?.mrn ?? null, equipment_id: found?.equipment_id ?? null, code_id: found?.id ?? null, at: asked.at, gate: asked.gate ?? null, reasons, first_use: refused ? use : found.first_use, effects: refused ? [] : [{ machine: 'movement', event: 'discharge', outcome: 'done', detail: null }, { machine: 'guarantee', event: 'release', outcome: 'done', detail: null }], state: refused ? null : 'discharged' };
      scans.push(scan);
      return json(res, scan, 201);
    }
    if (path === '/stamps/checks' && req.method === 'POST') {
      const text = (await body()).code;
      const verdict = text.startsWith('G') ? 'genuine' : text.startsWith('S') ? 'suspect' : text.startsWith('N') ? 'not-active' : 'false';
      return json(res, { verdict, says: verdict, product: verdict === 'genuine' ? 'Grape brandy, 0.7 l' : null }, 201);
    }
    return false;
  };
  return { answer, detail, standing };
}
