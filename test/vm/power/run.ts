/**
 * `npm run chaos:power`: cuts a machine's power at seeded moments, and tells whether it came back each time.
 * Owns the words of the command and the lab it needs. Does not own the cuts (cuts.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { wordsOf } from '../../../image/words.ts';
import { CUTS_OF_A_TURN, planCuts, startsOf } from './plan.ts';
import { earlierCuts, recordOf, renderSummary } from './summary.ts';

const TOGETHER = 3;

const USAGE = `usage: npm run chaos:power -- [--seed N] [--cuts M] [--together K] [--from F]

  --seed      the same seed cuts at the same moments (default 1)
  --cuts      how many (default ${CUTS_OF_A_TURN}, one turn: boot, bootstrap, configuration change, update, each more than once)
  --together  so many boots may be cut one after the other before the box must have been at work (default ${TOGETHER})
  --from      goes on with the run of this seed at cut F, one that begins from the factory's disk (default 1)

Brings up the lab named by BRANCHBOX_TEST_LAB (default: power) and takes it down; BRANCHBOX_TEST_KEEP=1 leaves it up.
Its result is in out/chaos/power-SEED.json, from the first cut on.

example: npm run chaos:power -- --seed 7
`;

const values = wordsOf(process.argv.slice(2), {
  seed: { type: 'string', default: '1' },
  cuts: { type: 'string', default: String(CUTS_OF_A_TURN) },
  together: { type: 'string', default: String(TOGETHER) },
  from: { type: 'string', default: '1' },
  help: { type: 'boolean', default: false },
});
const [seed, count, together, from] = [values?.seed, values?.cuts, values?.together, values?.from].map(
  Number,
);
const isCount = (value: number | undefined): value is number => Number.isInteger(value) && Number(value) > 0;
if (
  values === undefined ||
  values.help ||
  !isCount(seed) ||
  !isCount(count) ||
  !isCount(together) ||
  !isCount(from)
) {
  process.stderr.write(USAGE);
  process.exit(values?.help === true ? 0 : 2);
}
const plan = planCuts(seed, count);
if (!startsOf(plan).includes(from)) {
  process.stderr.write(`--from ${from}: a run goes on at cut ${startsOf(plan).join(', ')}\n`);
  process.exit(2);
}

process.env['BRANCHBOX_TEST_LAB'] ??= 'power';
const [
  { setup: bringUp },
  { root },
  { awaitWork },
  { BOX },
  { openPowerCuts },
  { readKept },
  { horizonOf, UP_LOG },
] = await Promise.all([
  import('../setup.ts'),
  import('../../lab/mainjob/lab.ts'),
  import('./box.ts'),
  import('../update/box.ts'),
  import('./cuts.ts'),
  import('./possessions.ts'),
  import('../upLog.ts'),
]);
const say = (line: string): void =>
  void process.stdout.write(`${new Date().toISOString().slice(11, 19)}  ${line}\n`);
const takeDown = await bringUp();
try {
  const horizon = horizonOf(readFileSync(UP_LOG, 'utf8'), BOX);
  const [multiUserS, inServiceS] = [horizon.multiUserMs, horizon.inServiceMs].map((ms) =>
    Math.round(ms / 1000),
  );
  say(`a boot takes ${multiUserS} s to multi-user, ${inServiceS} s to service`);
  await awaitWork(horizon.inServiceMs);
  const was = await readKept();
  const file = join(root, `out/chaos/power-${seed}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const earlier = from === 1 ? [] : earlierCuts(readFileSync(file, 'utf8'), from - 1);
  const firstBoots = startsOf(plan).indexOf(from);
  const power = await openPowerCuts({
    // What the coin takes in a part of a run is not what it took in the part before.
    seed: seed + from - 1,
    together,
    // Every second box has none.
    hasTpm: (n) => (firstBoots + n) % 2 === 0,
    was,
    horizon,
    onReport(line, done) {
      say(`cut ${earlier.length + done.length}: ${line}`);
      writeFileSync(
        file,
        `${JSON.stringify(recordOf({ seed, count, together, horizon }, [...earlier, ...done]), undefined, 2)}\n`,
      );
    },
  });
  const reports = [...earlier, ...(await power.run(plan.slice(from - 1)))];
  await power.close();
  const lost = reports.filter(({ problem }) => problem !== undefined).length;
  process.stdout.write(`${renderSummary(reports)}\n`);
  say(`${reports.length} cuts, ${lost} after which the box did not come back; ${file}`);
  process.exitCode = lost === 0 && reports.length === count ? 0 : 1;
} finally {
  takeDown();
}
