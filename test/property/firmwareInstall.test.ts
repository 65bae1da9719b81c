/** Power is cut at any byte of an update, again and again: the box always boots, and the update ends whole. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { BranchboxError } from '../../src/model/errors.ts';
import { install } from '../../src/update/install.ts';
import { createFakeFirmwareDisk, type FakeFirmwareDisk, PowerCut } from '../fakes/firmwareDisk.ts';
import { createFakeSource } from '../fakes/firmwareSource.ts';
import { makeVersion, SMALL_SIZES, type Version } from '../fakes/firmwareVersion.ts';

const signal = new AbortController().signal;
const OLD = makeVersion('1.0.0');
const OTHER = makeVersion('1.0.5');
const NEW = makeVersion('1.1.0');

async function run(box: FakeFirmwareDisk, version: Version, chunk: number, drops: readonly number[]) {
  try {
    return await install(
      {
        disk: box.disk,
        progress: box.progress,
        source: createFakeSource(version, chunk, drops),
        pace: async () => {},
        sizes: { writeBytes: 100, syncBytes: 700 },
        allowDowngrade: false,
        onStep: () => {},
        beforeEntry: async () => {},
      },
      version.target,
      signal,
    );
  } catch (thrown) {
    if (thrown instanceof PowerCut) return 'cut';
    if (thrown instanceof BranchboxError && thrown.code !== 'firmware/refused') return 'again';
    throw thrown;
  }
}

/** A stream of choices from a seed. */
function choices(seed: number): (ways: number) => number {
  let state = seed >>> 0 || 1;
  return (ways) => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return Math.floor((state / 2 ** 32) * ways);
  };
}

const attempt = fc.record({
  version: fc.constantFrom(NEW, NEW, NEW, OTHER),
  /** Above what an update costs too: some go through. */
  power: fc.integer({ min: 0, max: 12_500 }),
  chunk: fc.integer({ min: 1, max: 900 }),
  drops: fc.array(fc.integer({ min: 0, max: 4000 }), { maxLength: 2 }),
  seed: fc.integer(),
});

test('a box whose power is cut at any byte boots, and ends with every byte of the version', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(attempt, { minLength: 1, maxLength: 6 }), async (attempts) => {
      const box = createFakeFirmwareDisk(OLD, [OLD, NEW, OTHER]);
      for (const { version, power, chunk, drops, seed } of attempts) {
        box.power(power);
        const outcome = await run(box, version, chunk, drops);
        if (outcome === 'cut') box.crash(choices(seed));
        expect(box.faults()).toEqual([]);
      }
      box.power(Number.POSITIVE_INFINITY);
      let outcome = '';
      for (let i = 0; i < 4 && outcome !== 'ready'; i += 1) outcome = await run(box, NEW, 333, []);
      expect(outcome).toBe('ready');
      expect(box.faults()).toEqual([]);
      expect(box.entries()).toEqual(['branchbox_1.0.0.efi', 'branchbox_1.1.0+2.efi']);
      const slot = box.slot('b');
      expect(slot.rootHash).toBe(NEW.target.manifest.rootHash);
      expect(slot.root.subarray(0, NEW.bytes.root.length).equals(NEW.bytes.root)).toBe(true);
      expect(slot.verity.subarray(0, NEW.bytes.verity.length).equals(NEW.bytes.verity)).toBe(true);
    }),
    { numRuns: 300 },
  );
});

test('a cut at each single byte of an update is survived, however the medium tears', async () => {
  const [old, next] = [
    makeVersion('1.0.0', { sizes: SMALL_SIZES }),
    makeVersion('1.1.0', { sizes: SMALL_SIZES }),
  ];
  let cuts = 0;
  for (let power = 0; ; power += 1) {
    let cut = false;
    for (let seed = 1; seed <= 3; seed += 1) {
      const box = createFakeFirmwareDisk(old, [old, next]);
      box.power(power);
      cut = (await run(box, next, 50, [])) === 'cut';
      if (!cut) break;
      cuts += 1;
      box.crash(choices(seed * 7919 + power));
      expect(box.faults()).toEqual([]);
      let outcome = '';
      for (let i = 0; i < 3 && outcome !== 'ready'; i += 1) outcome = await run(box, next, 50, []);
      expect(outcome).toBe('ready');
      expect(box.faults()).toEqual([]);
    }
    if (!cut) break;
  }
  expect(cuts).toBeGreaterThan(3 * 400);
});

test('a box whose disk loses what was put there, between cuts, ends with every byte of the version', async () => {
  const rot = fc.record({
    role: fc.constantFrom('root', 'verity', 'uki'),
    offset: fc.integer({ min: 0, max: 3999 }),
  });
  const tries = fc.array(fc.tuple(attempt, fc.array(rot, { maxLength: 3 })), { minLength: 1, maxLength: 6 });
  await fc.assert(
    fc.asyncProperty(tries, async (attempts) => {
      const box = createFakeFirmwareDisk(OLD, [OLD, NEW, OTHER]);
      for (const [{ version, power, chunk, drops, seed }, rots] of attempts) {
        box.power(power);
        if ((await run(box, version, chunk, drops)) === 'cut') box.crash(choices(seed));
        expect(box.faults()).toEqual([]);
        // Of a slot that was read back, dm-verity and the trial are the judges.
        const isVerified = (await box.progress.read())?.verified === true;
        for (const { role, offset } of rots) if (role === 'uki' || !isVerified) box.rot(role, offset);
      }
      box.power(Number.POSITIVE_INFINITY);
      let outcome = '';
      // Each part may be told of once.
      for (let i = 0; i < 8 && outcome !== 'ready'; i += 1) outcome = await run(box, NEW, 333, []);
      expect(outcome).toBe('ready');
      expect(box.faults()).toEqual([]);
    }),
    { numRuns: 300 },
  );
});

test('after a cut nothing that was durable is fetched again', async () => {
  const box = createFakeFirmwareDisk(OLD, [OLD, NEW]);
  box.power(3000);
  expect(await run(box, NEW, 100, [])).toBe('cut');
  box.crash(() => 0);
  const durable = (await box.progress.read())?.durableBytes.root ?? 0;
  expect(durable).toBeGreaterThan(1000);
  const asked: number[] = [];
  const source = createFakeSource(NEW, 500);
  await install(
    {
      disk: box.disk,
      progress: box.progress,
      source: {
        name: source.name,
        open: (part, from, limit) => {
          asked.push(from);
          return source.open(part, from, limit);
        },
      },
      pace: async () => {},
      allowDowngrade: false,
      onStep: () => {},
      beforeEntry: async () => {},
    },
    NEW.target,
    signal,
  );
  expect(asked).toEqual([durable, 0, 0]);
});
