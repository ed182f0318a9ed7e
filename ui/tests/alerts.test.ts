import { describe, expect, it } from 'vitest';
import { asQuery, compare, matches, NO_FILTER, overlay, take } from '../src/alerts/board';
import { canMove, nextStates } from '../src/alerts/machine';
import { Outbox, type Action } from '../src/alerts/outbox';
import { ApiProblem, NoAnswer } from '../src/api/client';
import type { Alert, AlertPatch } from '../src/api/types';

const alert = (id: string, over: Partial<Alert> = {}): Alert => ({
  id, code: 'seal-cut', severity: 'critical', mrn: '26CN', equipment_id: 'MSKU1234565', device_id: 'D-1',
  subject: null, began_at: '2026-11-20T00:00:00Z', ended_at: null, raised_at: '2026-11-20T00:00:10Z', late: false,
  superseded: false, superseded_at: null, superseded_reason: null, count: 1, state: 'raised', triage: null, cause: null, acknowledged_by: null,
  lat_deg: null, lon_deg: null, says: '', facts: null, version: 1, ...over,
});

describe('the alert machine', () => {
  it('goes forward only, and acknowledges first', () => {
    expect(nextStates('raised')).toEqual(['acknowledged']);
    expect(canMove('acknowledged', 'closed')).toBe(true);
    expect(canMove('on-scene', 'triaged')).toBe(false);
    expect(nextStates('closed')).toEqual([]);
  });
});

describe('the board', () => {
  it('keeps the newer version, whatever order they come in', () => {
    const known = new Map<string, Alert>();
    expect(take(known, alert('a', { version: 3 }))).toBe(true);
    expect(take(known, alert('a', { version: 2 }))).toBe(false);
    expect(known.get('a')?.version).toBe(3);
  });

  it('puts the worst first, the untouched before the touched, then the newest', () => {
    const rows = [
      alert('old'),
      alert('mine', { state: 'acknowledged', raised_at: '2026-11-20T09:00:00Z' }),
      alert('new', { raised_at: '2026-11-20T08:00:00Z' }),
      alert('info', { severity: 'info', raised_at: '2026-11-20T10:00:00Z' }),
    ];
    expect(rows.sort(compare('urgent')).map((row) => row.id)).toEqual(['new', 'old', 'mine', 'info']);
    expect(rows.sort(compare('newest')).map((row) => row.id)).toEqual(['info', 'mine', 'new', 'old']);
  });

  it('filters by all that is asked', () => {
    expect(matches(alert('a', { state: 'closed' }), NO_FILTER)).toBe(false);
    expect(matches(alert('a', { superseded: true }), NO_FILTER)).toBe(false);
    expect(matches(alert('a'), { ...NO_FILTER, text: 'msku' })).toBe(true);
    expect(matches(alert('a'), { ...NO_FILTER, text: 'nothing' })).toBe(false);
    expect(matches(alert('a'), { ...NO_FILTER, severities: ['high'] })).toBe(false);
    expect(asQuery({ ...NO_FILTER, codes: ['silence'] })).toMatchObject({ superseded: false, code: ['silence'] });
    expect(asQuery(NO_FILTER)['state']).not.toContain('closed');
    expect(asQuery({ ...NO_FILTER, scope: 'closed' })['state']).toEqual(['closed']);
  });
});

function bench(server: { patch: (id: string, patch: AlertPatch) => Alert; read?: (id: string) => Alert }, saved = new Map<string, string>()) {
  const confirmed: Alert[] = [];
  const refused: Action[] = [];
  const later: (() => void)[] = [];
  const storage = {
    getItem: (key: string) => saved.get(key) ?? null,
    setItem: (key: string, value: string) => void saved.set(key, value),
    removeItem: (key: string) => void saved.delete(key),
    key: (i: number) => [...saved.keys()][i] ?? null,
    get length() {
      return saved.size;
    },
  };
  const outbox = new Outbox({
    patch: async (id, patch) => server.patch(id, patch),
    read: async (id) => (server.read ?? (() => alert(id)))(id),
    storage,
    onAlert: (one) => confirmed.push(one),
    onRefused: (action) => refused.push(action),
    onChange: () => {},
    later: (run) => later.push(run),
  });
  return { outbox, confirmed, refused, later, saved };
}
const settled = () => new Promise((resolve) => setTimeout(resolve, 5));
const ACK: AlertPatch = { state: 'acknowledged', by: 'Ada' };

describe('the outbox', () => {
  it('shows a change at once, and forgets it when the server confirms', async () => {
    const { outbox, confirmed, saved } = bench({ patch: (id, patch) => alert(id, { state: patch.state, version: 2 }) });
    outbox.add(alert('a'), ACK, 1);
    expect(overlay(alert('a'), outbox.for('a')).state).toBe('acknowledged');
    await settled();
    expect(outbox.actions).toHaveLength(0);
    expect(saved.size).toBe(0);
    expect(confirmed[0]?.version).toBe(2);
  });

  it('keeps changes while there is no answer, over a reload too, and sends them in order', async () => {
    let down = true;
    const sent: string[] = [];
    const server = {
      patch: (id: string, patch: AlertPatch) => {
        if (down) throw new NoAnswer('down');
        sent.push(`${patch.state}@${patch.version}`);
        return alert(id, { state: patch.state, version: (patch.version ?? 0) + 1 });
      },
    };
    const first = bench(server);
    first.outbox.add(alert('a'), ACK, 1);
    first.outbox.add(alert('a', { state: 'acknowledged' }), { state: 'triaged', triage: 'genuine', by: 'Ada' }, 2);
    await settled();
    expect(first.outbox.actions).toHaveLength(2);
    expect(first.later).toHaveLength(1);

    const second = bench(server, first.saved);
    expect(second.outbox.actions).toHaveLength(2);
    down = false;
    await second.outbox.flush();
    expect(sent).toEqual(['acknowledged@1', 'triaged@2']);
    expect(second.saved.size).toBe(0);
  });

  it('takes a change back when someone else was faster, with all that followed from it', async () => {
    const { outbox, refused, confirmed } = bench({
      patch: () => {
        throw new ApiProblem(409, 'Conflict', 'the alert is closed');
      },
      read: (id) => alert(id, { state: 'closed', version: 9 }),
    });
    outbox.add(alert('a'), ACK, 1);
    outbox.add(alert('a', { state: 'acknowledged' }), { state: 'closed', by: 'Ada', cause: 'x' }, 2);
    await settled();
    expect(outbox.actions).toHaveLength(0);
    expect(refused.map((action) => action.patch.state)).toEqual(['acknowledged']);
    expect(confirmed.at(-1)?.state).toBe('closed');
  });

  it('sends again when only the version moved on', async () => {
    const versions: (number | undefined)[] = [];
    const { outbox, refused } = bench({
      patch: (id, patch) => {
        versions.push(patch.version);
        if (patch.version !== 5) throw new ApiProblem(409, 'Stale', 'now 5');
        return alert(id, { state: patch.state, version: 6 });
      },
      read: (id) => alert(id, { version: 5, count: 2 }),
    });
    outbox.add(alert('a'), ACK, 1);
    await settled();
    expect(versions).toEqual([1, 5]);
    expect(refused).toEqual([]);
    expect(outbox.actions).toHaveLength(0);
  });

  it('counts a change that had arrived before the answer was lost as done', async () => {
    const { outbox, refused } = bench({
      patch: () => {
        throw new ApiProblem(409, 'Impossible', 'already acknowledged');
      },
      read: (id) => alert(id, { state: 'acknowledged', acknowledged_by: 'Ada', version: 2 }),
    });
    outbox.add(alert('a'), ACK, 1);
    await settled();
    expect(refused).toEqual([]);
    expect(outbox.actions).toHaveLength(0);
  });
});
