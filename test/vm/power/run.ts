/**
 * `npm run chaos:power`: cuts a machine's power at seeded moments, and tells whether it came back each time.
 * Owns the words of the command and the lab it needs. Does not own the cuts (cuts.ts).
 */
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { parseArgs } from 'node:util';
import { CUTS_OF_A_TURN, planCuts } from './plan.ts';
import { recordOf, renderSummary } from './summary.ts';

const TOGETHER = 3;

const USAGE = `usage: npm run chaos:power -- [--seed N] [--cuts M] [--together K]

  --seed      the same seed cuts at the same moments (default 1)
  --cuts      how many (default ${CUTS_OF_A_TURN}, one turn: boot, bootstrap, configuration change, update, each more than once)
  --together  so many boots may be cut one after the other before the box must have been at work (default ${TOGETHER})

Brings up the lab named by BRANCHBOX_TEST_LAB (default: power) and takes it down; BRANCHBOX_TEST_KEEP=1 leaves it up.
Its result is in out/chaos/power-SEED.json, from the first cut on.

example: npm run chaos:power -- --seed 7
`;

const { values } = parseArgs({
  options: {
    seed: { type: 'string', default: '1' },
    cuts: { type: 'string', default: String(CUTS_OF_A_TURN) },
    together: { type: 'string', default: String(TOGETHER) },
    help: { type: 'boolean', default: false },
  },
});
const [seed, count, together] = [values.seed, values.cuts, values.together].map(Number);
const isCount = (value: number | undefined): value is number => Number.isInteger(value) && Number(value) > 0;
if (values.help || !isCount(seed) || !isCount(count) || !isCount(together)) {
  process.stderr.write(USAGE);
  process.exit(values.help ? 0 : 2);
}

process.env['BRANCHBOX_TEST_LAB'] ??= 'power';
const [
  { setup: bringUp },
  { root },
  { awaitWork, offerUpdate },
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
  say('making a version to update to');
  await offerUpdate();
  await awaitWork(horizon.inServiceMs);
  const was = await readKept();
  const file = join(root, `out/chaos/power-${seed}.json`);
  mkdirSync(dirname(file), { recursive: true });
  const power = await openPowerCuts({
    seed,
    together,
    // Every second box has none.
    hasTpm: (n) => n % 2 === 0,
    was,
    horizon,
    onReport(line, done) {
      say(line);
      writeFileSync(
        file,
        `${JSON.stringify(recordOf({ seed, count, together, horizon }, done), undefined, 2)}\n`,
      );
    },
  });
  const reports = await power.run(planCuts(seed, count));
  await power.close();
  const lost = reports.filter(({ problem }) => problem !== undefined).length;
  process.stdout.write(`${renderSummary(reports)}\n`);
  say(`${reports.length} cuts, ${lost} after which the box did not come back; ${file}`);
  process.exitCode = lost === 0 && reports.length === count ? 0 : 1;
} finally {
  takeDown();
}
