/**
 * Power cuts at seeded moments, few, of a machine without a TPM, in each phase of its life; `npm run chaos:power` does many, with and without.
 */
import { readFileSync } from 'node:fs';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { inNode, tryIn } from '../lab/mainjob/lab.ts';
import { awaitWork, wantUpdate } from './power/box.ts';
import { BOX } from './update/box.ts';
import { openPowerCuts, type PowerCuts } from './power/cuts.ts';
import { type CutKind, planCut, seededRandom } from './power/plan.ts';
import { readKept } from './power/possessions.ts';
import { horizonOf, UP_LOG } from './upLog.ts';

const SEED = 3;
const KINDS: readonly CutKind[] = ['first-table', 'bootstrap', 'config-change', 'boot', 'update'];
const say = (line: string): void => void process.stdout.write(`${line}\n`);

describe('a box without a TPM whose power is cut', () => {
  let power: PowerCuts;

  beforeAll(async () => {
    const horizon = horizonOf(readFileSync(UP_LOG, 'utf8'), BOX);
    await awaitWork(horizon.inServiceMs);
    power = await openPowerCuts({
      seed: SEED,
      together: KINDS.length,
      hasTpm: () => false,
      was: await readKept(),
      horizon,
      onReport: say,
    });
  });
  afterAll(async () => {
    await wantUpdate(false);
    await power.close();
  });

  it(`comes to work again with all it had after each: ${KINDS.join(', ')}`, async () => {
    const random = seededRandom(SEED);
    const reports = await power.run(KINDS.map((kind) => planCut(kind, random())));
    expect(reports.filter(({ problem }) => problem !== undefined)).toEqual([]);
    expect(reports).toHaveLength(KINDS.length);
  }, 3_600_000);

  it('keeps its data on a plain partition, since nothing could seal it', async () => {
    expect((await tryIn(BOX, ['test', '-e', '/dev/tpmrm0'])).exitCode).toBe(1);
    expect(await inNode(BOX, 'cat', '/proc/mounts')).toMatch(/^\/dev\/vda7 \/var ext4 rw\b/m);
  });
});
