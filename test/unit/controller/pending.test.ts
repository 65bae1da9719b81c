/** Boxes that nobody named, at the controller: who waits, who is let in, by which key, and how many there may be. */
import { beforeEach, describe, expect, it } from 'vitest';
import type { Stranger } from '../../../src/controller/pending.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import type { PendingBox } from '../../../src/controller/store/entities.ts';
import type { Store } from '../../../src/controller/store/store.ts';
import { BoxClaims, claimCodeOf } from '../../../src/model/assignment.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { makeManufacturer } from '../pki/domain.ts';
import { createControllerParts } from './controllerParts.ts';
import { free, SMALL_FLEET } from './fixtures.ts';

const DAY_MS = 86_400_000;
const ADMIN = 'admin';
const idevid = makeManufacturer();

let nowMs: number;
let store: Store;
const clock = { nowMs: () => nowMs, monotonicMs: () => 0, sleep: async () => undefined };
async function start(rules: readonly object[]) {
  store = openSqliteStore(':memory:');
  const log = createLogger({ name: 'test', write: () => undefined });
  const parts = createControllerParts({ store, clock, log });
  await parts.setFleet({
    ...SMALL_FLEET,
    gateways: [
      ...SMALL_FLEET.gateways,
      free('spare1', '10.255.0.21'),
      free('spare2', '10.255.0.22'),
      free('far', '10.255.0.23', 'far'),
    ],
    rules,
  });
  return parts;
}
let parts: Awaited<ReturnType<typeof start>>;
const LISTED = { name: 'ours', match: { serial: 'SN-*' }, place: { site: 'spare' } };
beforeEach(async () => {
  nowMs = Date.UTC(2026, 5, 1);
  parts = await start([LISTED]);
});

const stranger = (serial: string, more: Partial<Stranger> = {}): Stranger => ({
  serial,
  idevid: idevid(serial),
  address: '198.51.100.7',
  model: 'lab',
  claims: BoxClaims.parse({}),
  ...more,
});
const gatewayOf = async (serial: string): Promise<string | undefined> =>
  (await parts.fleet.read())?.fleet.gateways.find((gateway) => gateway.serial === serial)?.id;
const only = async (): Promise<PendingBox> => {
  const [box, ...rest] = await store.pending.list();
  if (box === undefined || rest.length > 0) throw new Error('there is not one box alone');
  return box;
};

describe('a box that fits a rule', () => {
  it('waits, with what is proved and what it says apart', async () => {
    const claims = BoxClaims.parse({ hostname: 'lobby', 'mac-address': ['02:00:00:00:00:01'] });
    const box = stranger('SN-new', { claims });
    expect(await parts.pending.meet(box)).toMatchObject({ kind: 'waiting', wantsClaims: false });
    expect(await only()).toMatchObject({
      serial: 'SN-new',
      spkiSha256: box.idevid.spkiSha256,
      claimCode: claimCodeOf(box.idevid.spkiSha256),
      address: '198.51.100.7',
      rule: 'ours',
      unproven: { 'hw-model': 'lab', hostname: 'lobby', 'mac-address': ['02:00:00:00:00:01'] },
    });
    // Nothing but the list changed.
    expect(await store.inventory.get('SN-new')).toBeUndefined();
    expect(await gatewayOf('SN-new')).toBeUndefined();
  });

  it('is let in by an operator at the place of its rule, by its key alone', async () => {
    const box = stranger('SN-new');
    await parts.pending.meet(box);
    expect(await parts.pending.approve('SN-new', { actor: ADMIN })).toMatchObject({
      approved: true,
      joined: 'operator',
      identity: { spkiSha256: box.idevid.spkiSha256 },
    });
    expect(await gatewayOf('SN-new')).toBe('spare1');
    expect(await store.pending.list()).toEqual([]);
    expect(await parts.admissions.consider('SN-new', box.idevid)).toMatchObject({ kind: 'admitted' });
    expect(await parts.admissions.consider('SN-new', idevid('SN-new'))).toMatchObject({ kind: 'refused' });
  });

  it('is let in at a gateway that is named, and not where a box is already', async () => {
    await parts.pending.meet(stranger('SN-new'));
    const at = (gateway: string) => parts.pending.approve('SN-new', { gateway, actor: ADMIN });
    await expect(at('branch1')).rejects.toMatchObject({ code: 'controller/conflict' });
    await expect(at('nowhere')).rejects.toMatchObject({ code: 'controller/not-found' });
    // A failure leaves it as it was: waiting.
    expect(await store.inventory.get('SN-new')).toBeUndefined();
    expect((await only()).state).toBe('waiting');
    await at('far');
    expect(await gatewayOf('SN-new')).toBe('far');
  });

  it('whose place it has already gets no other, and the fleet stays as it is', async () => {
    await store.inventory.add('SN-branch1', { approved: false }, nowMs);
    const before = (await parts.fleet.read())?.revision;
    await parts.pending.approve('SN-branch1', { gateway: 'branch1', actor: ADMIN });
    expect(await store.inventory.get('SN-branch1')).toMatchObject({ approved: true });
    expect([await gatewayOf('SN-branch1'), (await parts.fleet.read())?.revision]).toEqual([
      'branch1',
      before,
    ]);
  });

  it('waits on where its rule has no free place, and says so to who approves', async () => {
    for (const serial of ['SN-a', 'SN-b', 'SN-c']) await parts.pending.meet(stranger(serial));
    await parts.pending.approve('SN-a', { actor: ADMIN });
    await parts.pending.approve('SN-b', { actor: ADMIN });
    await expect(parts.pending.approve('SN-c', { actor: ADMIN })).rejects.toMatchObject({
      code: 'controller/conflict',
      message: 'no branch at spare is without a box',
    });
  });

  it('that is denied is refused by its key; another key with that serial is not', async () => {
    const box = stranger('SN-new');
    await parts.pending.meet(box);
    await parts.pending.deny('SN-new', { actor: ADMIN });
    expect(await parts.pending.meet(box)).toEqual({ kind: 'denied' });
    expect(await parts.pending.meet(stranger('SN-new'))).toMatchObject({ kind: 'waiting' });
    await parts.pending.forget('SN-new', { key: box.idevid.spkiSha256, actor: ADMIN });
    expect(await parts.pending.meet(box)).toMatchObject({ kind: 'waiting' });
  });

  it('beside another with the same serial is approved by its key, and not by the serial', async () => {
    const [first, second] = [stranger('SN-new'), stranger('SN-new')];
    await parts.pending.meet(first);
    await parts.pending.meet(second);
    await expect(parts.pending.approve('SN-new', { actor: ADMIN })).rejects.toMatchObject({
      code: 'controller/conflict',
      problems: expect.arrayContaining([
        expect.objectContaining({ path: claimCodeOf(second.idevid.spkiSha256) }),
      ]),
    });
    const key = claimCodeOf(second.idevid.spkiSha256);
    await parts.pending.approve('SN-new', { key, actor: ADMIN });
    expect(await parts.admissions.consider('SN-new', second.idevid)).toMatchObject({ kind: 'admitted' });
    expect(await parts.admissions.consider('SN-new', first.idevid)).toMatchObject({ kind: 'refused' });
  });

  it('is asked what it says of itself where a rule would look, and unknown where none fits', async () => {
    parts = await start([{ name: 'lobby', match: { hostname: 'lobby*' } }]);
    expect(await parts.pending.meet(stranger('X-1', { claims: undefined }))).toMatchObject({
      kind: 'unknown',
      wantsClaims: true,
    });
    expect(await parts.pending.meet(stranger('X-1'))).toMatchObject({ kind: 'unknown', wantsClaims: false });
    const claims = BoxClaims.parse({ hostname: 'lobby1' });
    expect(await parts.pending.meet(stranger('X-1', { claims }))).toMatchObject({ kind: 'waiting' });
    await expect(parts.pending.approve('X-1', { actor: ADMIN })).rejects.toMatchObject({
      message: 'rule lobby gives no place',
    });
  });
});

describe('a rule that approves', () => {
  const APPROVING = { ...LISTED, match: { serial: 'SN-n*' }, action: 'approve' };
  it('lets a box in by its serial, each at a place of its own, and lists who finds none', async () => {
    parts = await start([APPROVING]);
    const boxes = ['SN-n1', 'SN-n2', 'SN-n3'].map((serial) => stranger(serial));
    const kinds = await Promise.all(boxes.map(async (box) => (await parts.pending.meet(box)).kind));
    expect(kinds.toSorted()).toEqual(['let-in', 'let-in', 'waiting']);
    const places = await Promise.all(boxes.map(({ serial }) => gatewayOf(serial)));
    expect(places.filter((place) => place !== undefined).toSorted()).toEqual(['spare1', 'spare2']);
    expect(await only()).toMatchObject({ rule: 'ours', state: 'waiting' });
  });

  it('lets nobody in while two keys claim the serial', async () => {
    await parts.pending.meet(stranger('SN-new'));
    const rules = [APPROVING];
    const present = (await parts.fleet.read())?.fleet;
    await parts.setFleet({ ...present, rules });
    expect(await parts.pending.meet(stranger('SN-new'))).toMatchObject({ kind: 'waiting' });
    expect(await gatewayOf('SN-new')).toBeUndefined();
  });
});

describe('the list', () => {
  it('has an end, of all and of one serial, and forgets who went away', async () => {
    const box = stranger('SN-0');
    await parts.pending.meet(box);
    const seen = await only();
    for (let i = 1; i < 1000; i += 1) await store.pending.see({ ...seen, serial: `SN-${i}` });
    expect(await parts.pending.meet(stranger('SN-late'))).toMatchObject({
      kind: 'unknown',
      why: expect.stringContaining('full'),
    });
    // Who waits keeps the line.
    expect(await parts.pending.meet(box)).toMatchObject({ kind: 'waiting' });
    nowMs += 7 * DAY_MS + 1;
    expect(await parts.pending.meet(stranger('SN-late'))).toMatchObject({ kind: 'waiting' });
    expect((await only()).serial).toBe('SN-late');
    for (let i = 0; i < 3; i += 1)
      expect((await parts.pending.meet(stranger('SN-late'))).kind).toBe('waiting');
    expect((await parts.pending.meet(stranger('SN-late'))).kind).toBe('unknown');
  });

  it('is written when it says something new, and once a minute otherwise', async () => {
    const box = stranger('SN-new');
    await parts.pending.meet(box);
    const first = (await only()).lastSeenMs;
    nowMs += 59_000;
    await parts.pending.meet(box);
    expect((await only()).lastSeenMs).toBe(first);
    await parts.pending.meet({ ...box, address: '203.0.113.9' });
    expect(await only()).toMatchObject({ lastSeenMs: nowMs, address: '203.0.113.9' });
    nowMs += 60_000;
    await parts.pending.meet({ ...box, address: '203.0.113.9' });
    expect((await only()).lastSeenMs).toBe(nowMs);
  });
});

describe('a claim code', () => {
  it('that was refused is no claim in the audit log', async () => {
    const actions = async () => (await store.records.auditPage({ limit: 99 })).map(({ action }) => action);
    const box = stranger('X-1');
    const code = claimCodeOf(box.idevid.spkiSha256);
    await expect(parts.pending.claim(code, 'nowhere', ADMIN)).rejects.toThrow('no gateway is named nowhere');
    expect(await actions()).not.toContain('claimed');
    await parts.pending.claim(code, 'far', ADMIN);
    expect(await actions()).toContain('claimed');
  });

  it('lets in a box that waits, at once', async () => {
    const box = stranger('SN-new');
    await parts.pending.meet(box);
    const code = claimCodeOf(box.idevid.spkiSha256);
    expect(await parts.pending.claim(code, 'far', ADMIN)).toEqual({ serial: 'SN-new' });
    expect(await gatewayOf('SN-new')).toBe('far');
  });

  it('lets in a box that no rule fits when it comes, its key alone, and once', async () => {
    parts = await start([]);
    const box = stranger('X-1');
    const code = claimCodeOf(box.idevid.spkiSha256);
    expect(await parts.pending.claim(code, 'far', ADMIN)).toMatchObject({ code, gatewayId: 'far' });
    expect(await parts.pending.meet(stranger('X-1'))).toMatchObject({ kind: 'unknown' });
    expect(await parts.pending.meet(box)).toEqual({ kind: 'let-in' });
    expect(await store.inventory.get('X-1')).toMatchObject({ approved: true, joined: 'claim' });
    expect(await gatewayOf('X-1')).toBe('far');
    expect(await store.claims.list()).toEqual([]);
  });

  it('ends after a month, and is for a gateway without a box', async () => {
    parts = await start([]);
    const box = stranger('X-1');
    const code = claimCodeOf(box.idevid.spkiSha256);
    await expect(parts.pending.claim(code, 'branch1', ADMIN)).rejects.toMatchObject({
      code: 'controller/conflict',
    });
    await parts.pending.claim(code, 'far', ADMIN);
    nowMs += 30 * DAY_MS;
    expect(await parts.pending.meet(box)).toMatchObject({ kind: 'unknown' });
  });

  it('is as good for a box of the inventory that waits', async () => {
    await store.inventory.add('SN-known', { approved: false }, nowMs);
    const box = idevid('SN-known');
    expect(await parts.pending.claimed('SN-known', box)).toBe(false);
    await parts.pending.claim(claimCodeOf(box.spkiSha256), 'far', ADMIN);
    expect(await parts.pending.claimed('SN-known', box)).toBe(true);
    expect(await parts.admissions.consider('SN-known', box)).toMatchObject({ kind: 'admitted' });
  });

  it('does nothing for a box that was revoked', async () => {
    await store.inventory.add('SN-known', { approved: true }, nowMs);
    await store.inventory.update('SN-known', { state: 'revoked' });
    const box = idevid('SN-known');
    await parts.pending.claim(claimCodeOf(box.spkiSha256), 'far', ADMIN);
    expect(await parts.pending.claimed('SN-known', box)).toBe(false);
    expect(await gatewayOf('SN-known')).toBeUndefined();
  });
});
