/**
 * `npm run image:reproduce`: builds the last commit twice from nothing, trees included, in two clones of this checkout,
 * and says what differs, down to the files within. Leaves nothing behind but its verdict.
 * Does not own the build (build.ts) nor the comparison (compareBuilds.ts).
 */
import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createRunner } from '../src/system/linux/runner.ts';
import { compareBuilds } from './compareBuilds.ts';
import { createToolbox } from './toolbox.ts';
import { TOOLS_TREE, treePath } from './trees.ts';
import { takeNoWords } from './words.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const VERSION = '0.0.0';
const BUILD_TIMEOUT_MS = 3 * 60 * 60_000;

takeNoWords(`usage: npm run image:reproduce
  Builds the last commit twice from nothing, and says what differs; ends with 1 where something does that may not
  (docs/image.md). Needs root on Linux and a Debian mirror, as npm run image; half an hour of two cores.
example: npm run image:reproduce
`);
const runner = createRunner();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
await mkdir(join(CHECKOUT, 'out'), { recursive: true });
const scratch = await mkdtemp(join(CHECKOUT, 'out/reproduce-'));
try {
  const builds = ['first', 'second'].map((name) => join(scratch, name));
  // Both before the first build: the checkout may move on meanwhile.
  for (const build of builds) {
    const clone = join(build, 'checkout');
    await runner.runChecked('git', ['clone', '--quiet', CHECKOUT, clone], { timeoutMs: 300_000 });
    // As npm ci made them, without asking the registry twice; nothing changes one in place.
    await runner.runChecked('cp', ['-al', join(CHECKOUT, 'node_modules'), join(clone, 'node_modules')], {
      timeoutMs: 300_000,
    });
  }
  for (const build of builds) {
    const clone = join(build, 'checkout');
    const cache = join(build, 'cache');
    await mkdir(cache);
    const words = ['--version', VERSION, '--keys', join(scratch, 'keys'), '--test-keys'];
    say(`building in ${clone}`);
    const built = await runner.runChecked(
      join(clone, 'launch'),
      ['image/build.ts', ...words, '--out', join(build, 'out'), '--cache', cache],
      { timeoutMs: BUILD_TIMEOUT_MS },
    );
    say(built.trimEnd());
  }
  const [first = '', second = ''] = builds.map((build) => join(build, 'out'));
  const toolbox = createToolbox(runner, treePath(TOOLS_TREE, join(scratch, 'first/cache')));
  const report = (await compareBuilds(VERSION, first, second, toolbox)).join('\n');
  say(report);
  process.exitCode = /^differs/m.test(report) ? 1 : 0;
} finally {
  await rm(scratch, { recursive: true, force: true });
}
