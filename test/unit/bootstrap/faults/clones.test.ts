/**
 * Rows of the fault table: boxes that nobody named and that look alike: of one cloned image, so that all they say of
 * themselves is the same (machine id, UUID, host name, addresses), or under one serial with two keys.
 */
import { beforeEach } from 'vitest';
import type { Stranger } from '../../../../src/controller/pending.ts';
import { openSqliteStore } from '../../../../src/controller/store/sqlite.ts';
import type { Store } from '../../../../src/controller/store/store.ts';
import { BoxClaims, claimCodeOf } from '../../../../src/model/assignment.ts';
import { asBranchboxError } from '../../../../src/model/errors.ts';
import type { Certificate } from '../../../../src/pki/certificate.ts';
import { createLogger } from '../../../../src/system/linux/logger.ts';
import { createControllerParts } from '../../controller/controllerParts.ts';
import { free, SMALL_FLEET } from '../../controller/fixtures.ts';
import { makeManufacturer } from '../../pki/domain.ts';
import { createFaultBench } from '../faultBench.ts';
import { refusedFor, toldWhom } from './answered.ts';
import { type FaultRow, faultTable, IN_SERVICE, type Seen } from './table.ts';

const bench = createFaultBench();

const idevid = makeManufacturer();
const ALIKE = BoxClaims.parse({
  hostname: 'branchbox',
  uuid: '03000200-0400-0500-0006-000700080009',
  'mac-address': ['02:00:00:00:00:01'],
});
const LISTS = { name: 'lab', match: { hostname: 'branchbox', uuid: ALIKE.uuid }, place: { site: 'spare' } };
const APPROVES = { name: 'lab', match: { serial: 'SN-x*' }, action: 'approve', place: { site: 'spare' } };

const PLACES = [free('spare1', '10.255.0.21'), free('spare2', '10.255.0.22')];

let store: Store;
let parts: ReturnType<typeof createControllerParts>;
beforeEach(() => {
  store = openSqliteStore(':memory:');
  const clock = { nowMs: () => Date.UTC(2026, 5, 1), monotonicMs: () => 0, sleep: async () => undefined };
  parts = createControllerParts({ store, clock, log: createLogger({ name: 'test', write: () => {} }) });
});
const rules = (...wanted: readonly object[]) =>
  parts.setFleet({ ...SMALL_FLEET, gateways: [...SMALL_FLEET.gateways, ...PLACES], rules: wanted });
const box = (serial: string, certificate = idevid(serial)): Stranger => ({
  serial,
  idevid: certificate,
  address: '198.51.100.7',
  model: 'lab',
  claims: ALIKE,
});
/** What the controller makes of a box by now, in a word or two. */
async function standingOf(serial: string, certificate: Certificate): Promise<string> {
  const admission = await parts.admissions.admit(serial, certificate);
  return admission.kind === 'admitted' ? `admitted as ${admission.gateway.id}` : admission.kind;
}
/** What who stands before that box reads. */
const toldAt = async (serial: string, certificate: Certificate): Promise<string> =>
  toldWhom(bench, await parts.admissions.admit(serial, certificate));
const row = (
  fault: string,
  must: string,
  outcome: string,
  told: string,
  run: () => Promise<Seen>,
): FaultRow => ({
  fault,
  must,
  outcome,
  told,
  run,
});

faultTable('boxes that look alike', [
  row(
    'two of one cloned image, one of which is approved',
    'list both, each by its serial and key, and let in the one that was meant',
    '2 in the list; SN-x1 admitted as spare1, SN-x2 unknown',
    refusedFor('this box is not known here'),
    async () => {
      await rules(LISTS);
      const [one, other] = [box('SN-x1'), box('SN-x2')];
      await parts.pending.meet(one);
      await parts.pending.meet(other);
      const listed = await store.pending.list();
      await parts.pending.approve('SN-x1', { actor: 'admin' });
      const stands = `SN-x1 ${await standingOf('SN-x1', one.idevid)}, SN-x2 ${await standingOf('SN-x2', other.idevid)}`;
      return {
        outcome: `${listed.length} in the list; ${stands}`,
        told: await toldAt('SN-x2', other.idevid),
      };
    },
  ),
  row(
    'two of one cloned image, and a rule that approves by serial',
    'give each a place of its own',
    'SN-x1 admitted as spare1, SN-x2 admitted as spare2',
    IN_SERVICE,
    async () => {
      await rules(APPROVES);
      const [one, other] = [box('SN-x1'), box('SN-x2')];
      await parts.pending.meet(one);
      await parts.pending.meet(other);
      const stands = `SN-x1 ${await standingOf('SN-x1', one.idevid)}, SN-x2 ${await standingOf('SN-x2', other.idevid)}`;
      return { outcome: stands, told: await toldAt('SN-x2', other.idevid) };
    },
  ),
  row(
    'a rule that approves what they say of themselves',
    'refuse the rule: whoever has any box can say the same',
    'model/invalid',
    'a rule that approves tells at least 4 characters of the serial: it is all that a box can prove',
    async () => {
      const refusal = await rules({ ...LISTS, action: 'approve' }).then(() => undefined, asBranchboxError);
      return {
        outcome: String(refusal?.code),
        told: refusal?.problems.map(({ message }) => message).join() ?? '',
      };
    },
  ),
  row(
    'two under one serial, with two keys, and an operator who approves the serial',
    'choose none of them, and say what tells them apart',
    'controller/conflict; both unknown',
    '2 boxes say that they are SN-x1: one of them is not; 2 claim codes',
    async () => {
      await rules(LISTS);
      const twins = [idevid('SN-x1'), idevid('SN-x1')];
      for (const twin of twins) await parts.pending.meet(box('SN-x1', twin));
      const refusal = await parts.pending
        .approve('SN-x1', { actor: 'admin' })
        .then(() => undefined, asBranchboxError);
      const codes = twins.filter(({ spkiSha256 }) =>
        refusal?.problems.some(({ path }) => path === claimCodeOf(spkiSha256)),
      );
      const stands = new Set(await Promise.all(twins.map((twin) => standingOf('SN-x1', twin))));
      return {
        outcome: `${refusal?.code}; both ${[...stands].join(' and ')}`,
        told: `${refusal?.message}; ${codes.length} claim codes`,
      };
    },
  ),
  row(
    'two under one serial, with two keys, of which one is approved by its claim code',
    'let that one in, and keep the other out and write it down',
    'admitted as spare1, refused; 1 quarantined',
    refusedFor('another identity holds this serial'),
    async () => {
      await rules(LISTS);
      const [right, wrong] = [idevid('SN-x1'), idevid('SN-x1')];
      await parts.pending.meet(box('SN-x1', wrong));
      await parts.pending.meet(box('SN-x1', right));
      await parts.pending.approve('SN-x1', { actor: 'admin', key: claimCodeOf(right.spkiSha256) });
      const stands = [await standingOf('SN-x1', right), await standingOf('SN-x1', wrong)];
      const entry = await store.inventory.get('SN-x1');
      return {
        outcome: `${stands.join(', ')}; ${entry?.quarantined.length} quarantined`,
        told: await toldAt('SN-x1', wrong),
      };
    },
  ),
]);
