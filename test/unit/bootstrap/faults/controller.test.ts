/**
 * Rows of the fault table: the controller's side: codes, clones, revoked and replaced boxes. What its verdict becomes on the
 * box is asked of a box (answered.ts).
 */
import { beforeEach } from 'vitest';
import { ACTIVATION_LIMITS } from '../../../../src/controller/activation.ts';
import type { Admission } from '../../../../src/controller/admission.ts';
import { replaceBox } from '../../../../src/controller/replacement.ts';
import { openSqliteStore } from '../../../../src/controller/store/sqlite.ts';
import type { Store } from '../../../../src/controller/store/store.ts';
import { asBranchboxError } from '../../../../src/model/errors.ts';
import { Secret } from '../../../../src/model/secret.ts';
import { createLogger } from '../../../../src/system/linux/logger.ts';
import { createControllerParts } from '../../controller/controllerParts.ts';
import { SMALL_FLEET } from '../../controller/fixtures.ts';
import { makeManufacturer } from '../../pki/domain.ts';
import { createFaultBench } from '../faultBench.ts';
import { codeNotTaken, refusedFor, toldWhom } from './answered.ts';
import { faultTable, type FaultRow, IN_SERVICE, type Seen } from './table.ts';

const bench = createFaultBench();

const SERIAL = 'SN-branch1';
const OTHER = 'SN-branch2';
const idevid = makeManufacturer();
const [box, clone, other] = [idevid(SERIAL), idevid(SERIAL), idevid(OTHER)];

let nowMs: number;
let store: Store;
let world: ReturnType<typeof createControllerParts>;
beforeEach(async () => {
  nowMs = Date.UTC(2026, 5, 1);
  store = openSqliteStore(':memory:');
  const clock = { nowMs: () => nowMs, monotonicMs: () => 0, sleep: async () => undefined };
  world = createControllerParts({ store, clock, log: createLogger({ name: 'test', write: () => {} }) });
  await world.setFleet(SMALL_FLEET);
  for (const serial of [SERIAL, OTHER]) {
    await store.inventory.add(serial, { approved: false, twoFactor: true }, 1);
  }
});

const usual = { codeLength: 8, validS: ACTIVATION_LIMITS.validS.usual, withLink: false };
const sent = (code: string) => ({ link: 'code', code: new Secret(code) });
const wrongOf = (code: string): string => (code.startsWith('A') ? 'B' : 'A') + code.slice(1);
const codeFor = async (serial: string): Promise<string> =>
  (await world.activations.make(serial, usual)).code.reveal();
const noCode = (who: string): string =>
  `There is no code for ${who}. See that yours was made for this serial, or ask for one.`;
/** Whose verdict it is, and what that box tells. */
const seen = async (admission: Admission): Promise<Seen> => ({
  outcome: admission.kind,
  told: await toldWhom(bench, admission),
});
const row = (
  fault: string,
  must: string,
  outcome: Admission['kind'],
  told: string,
  ask: () => Promise<Admission>,
): FaultRow => ({
  fault,
  must,
  outcome,
  told,
  run: async () => seen(await ask()),
});

faultTable('activation code', [
  row(
    'wrong',
    'say so, and how many tries are left',
    'wrong-code',
    codeNotTaken(`The code is wrong for ${SERIAL}. 4 tries are left.`),
    async () => world.admissions.admit(SERIAL, box, sent(wrongOf(await codeFor(SERIAL)))),
  ),
  row(
    'wrong five times',
    'take no other',
    'wrong-code',
    codeNotTaken('The code was wrong five times. Ask for a new one.'),
    async () => {
      const code = await codeFor(SERIAL);
      for (let times = 0; times < 5; times += 1)
        await world.admissions.admit(SERIAL, box, sent(wrongOf(code)));
      return world.admissions.admit(SERIAL, box, sent(code));
    },
  ),
  row(
    'expired',
    'take it not',
    'wrong-code',
    codeNotTaken('The code is too old. Ask for a new one.'),
    async () => {
      const code = await codeFor(SERIAL);
      nowMs += usual.validS * 1000;
      return world.admissions.admit(SERIAL, box, sent(code));
    },
  ),
  row(
    'right, typed at the wrong box',
    'let neither in',
    'wrong-code',
    codeNotTaken(noCode(OTHER)),
    async () => {
      const code = await codeFor(SERIAL);
      return world.admissions.admit(OTHER, other, sent(code));
    },
  ),
  row(
    'replaced by a newer one',
    'take the newer alone',
    'wrong-code',
    codeNotTaken(`The code is wrong for ${SERIAL}. 4 tries are left.`),
    async () => {
      const code = await codeFor(SERIAL);
      await codeFor(SERIAL);
      return world.admissions.admit(SERIAL, box, sent(code));
    },
  ),
  row(
    'wrong twenty times, of a clone of the serial with another key',
    'leave the honest box its own five tries',
    'wrong-code',
    codeNotTaken(`The code is wrong for ${SERIAL}. 4 tries are left.`),
    async () => {
      const code = await codeFor(SERIAL);
      for (let times = 0; times < 20; times += 1)
        await world.admissions.admit(SERIAL, clone, sent(wrongOf(code)));
      return world.admissions.admit(SERIAL, box, sent(wrongOf(code)));
    },
  ),
  row(
    'tried by a clone until it may no more, then typed right at the honest box',
    'let the honest box in',
    'admitted',
    IN_SERVICE,
    async () => {
      const code = await codeFor(SERIAL);
      for (let times = 0; times < 6; times += 1)
        await world.admissions.admit(SERIAL, clone, sent(wrongOf(code)));
      return world.admissions.admit(SERIAL, box, sent(code));
    },
  ),
  row(
    'tried by one key after another',
    'take it of no further key',
    'wrong-code',
    codeNotTaken(
      'Too many boxes that say to be this one tried the code. Ask for a new one, and say so to whoever sends it.',
    ),
    async () => {
      const code = await codeFor(SERIAL);
      for (let times = 0; times < ACTIVATION_LIMITS.tries.keys; times += 1)
        await world.admissions.admit(SERIAL, idevid(SERIAL), sent(wrongOf(code)));
      return world.admissions.admit(SERIAL, box, sent(code));
    },
  ),
  row('right', 'let that box in', 'admitted', IN_SERVICE, async () =>
    world.admissions.admit(SERIAL, box, sent(await codeFor(SERIAL))),
  ),
]);

const NEW_BOX = 'SN-new';
const replace = (serial: string) =>
  replaceBox(
    { store, fleet: world.fleet, clock: { nowMs: () => nowMs }, onInventoryChange: () => undefined },
    { gatewayId: 'branch1', serial, twoFactor: false, actor: 'test' },
  );
const enrolled = async (): Promise<void> => {
  await world.admissions.admit(SERIAL, box, sent(await codeFor(SERIAL)));
};

faultTable('controller', [
  {
    fault: 'a code used a second time',
    must: 'take it not',
    outcome: 'refused',
    told: noCode(SERIAL),
    run: async () => {
      const code = await codeFor(SERIAL);
      await world.admissions.admit(SERIAL, box, sent(code));
      const verdict = await world.activations.judge(SERIAL, box.spkiSha256, sent(code));
      return { outcome: verdict.kind, told: verdict.kind === 'refused' ? verdict.why : '' };
    },
  },
  row(
    'a clone: the same serial with another key',
    'keep it out',
    'refused',
    refusedFor('another identity holds this serial'),
    async () => {
      await enrolled();
      return world.admissions.consider(SERIAL, clone);
    },
  ),
  row('a clone, seen by the original', 'leave the original its place', 'admitted', IN_SERVICE, async () => {
    await enrolled();
    await world.admissions.admit(SERIAL, clone);
    return world.admissions.admit(SERIAL, box);
  }),
  row(
    'a clone that is first, and then the code is typed at the original',
    'let in whom the code came with',
    'admitted',
    IN_SERVICE,
    async () => {
      await world.admissions.admit(SERIAL, clone);
      return world.admissions.admit(SERIAL, box, sent(await codeFor(SERIAL)));
    },
  ),
  row(
    'the same box after a factory reset',
    'let it in again, to the same place',
    'admitted',
    IN_SERVICE,
    async () => {
      await enrolled();
      const again = await world.admissions.admit(SERIAL, box);
      const entry = await store.inventory.get(SERIAL);
      const same =
        again.kind === 'admitted' && again.gateway.id === 'branch1' && entry?.quarantined.length === 0;
      return same ? again : { kind: 'unknown' };
    },
  ),
  row('a revoked box', 'keep it out', 'refused', refusedFor('this box was revoked'), async () => {
    await enrolled();
    await store.inventory.update(SERIAL, { state: 'revoked' });
    return world.admissions.admit(SERIAL, box);
  }),
  {
    fault: 'a dead box that another took the place of, and that comes back',
    must: 'keep it out, and leave the other its place',
    outcome: 'the new one admitted as branch1, the old one refused',
    told: refusedFor('this box no longer has a place in the fleet'),
    run: async () => {
      await enrolled();
      await replace(NEW_BOX);
      const late = await world.admissions.admit(NEW_BOX, idevid(NEW_BOX));
      const place = late.kind === 'admitted' ? late.gateway.id : 'nobody';
      const { kind } = await world.admissions.admit(SERIAL, box);
      return {
        outcome: `the new one ${late.kind} as ${place}, the old one ${kind}`,
        told: await toldWhom(bench, await world.admissions.standing(place, SERIAL)),
      };
    },
  },
  {
    fault: 'a replacement that was revoked before',
    must: 'leave the box its place',
    outcome: 'controller/conflict, the box admitted',
    told: "SN-new was revoked, so it takes nobody's place",
    run: async () => {
      await enrolled();
      await store.inventory.add(NEW_BOX, { approved: true }, 1);
      await store.inventory.update(NEW_BOX, { state: 'revoked' });
      const refusal = await replace(NEW_BOX).then(
        () => undefined,
        (thrown: unknown) => asBranchboxError(thrown),
      );
      const { kind } = await world.admissions.admit(SERIAL, box);
      return { outcome: `${refusal?.code}, the box ${kind}`, told: refusal?.message ?? '' };
    },
  },
  row(
    'a serial that nobody registered',
    'keep it out',
    'unknown',
    refusedFor('this box is not known here'),
    () => world.admissions.admit('SN-9', idevid('SN-9')),
  ),
]);
