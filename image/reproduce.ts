/**
 * `npm run image:reproduce`: builds the last commit twice from nothing, trees included, in two clones of this checkout,
 * and says what differs, down to the files within. Leaves nothing behind but its verdict.
 * Does not own the build (build.ts) nor the comparison (compare-builds.sh; compareSigned.ts of what is signed).
 */
import { mkdir, mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createRunner } from '../src/system/linux/runner.ts';
import { compareSigned, type SignedFiles, signedNames } from './compareSigned.ts';
import { script } from './ingredients.ts';
import { createToolbox } from './toolbox.ts';
import { TOOLS_TREE, treePath } from './trees.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const VERSION = '0.0.0';
/** Not published: a note of where the inputs lay (assemble.ts), which is another place for each build. */
const NOTE = `branchbox-${VERSION}.inputs`;
const BUILD_TIMEOUT_MS = 3 * 60 * 60_000;
const COMPARE_TIMEOUT_MS = 30 * 60_000;

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
    const words = ['--version', VERSION, '--keys', join(scratch, 'keys')];
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
  const published = (await readdir(first)).filter((name) => name !== NOTE).sort();
  const others = (await readdir(second)).filter((name) => !published.includes(name) && name !== NOTE);
  const signed = Object.values(signedNames(VERSION));
  const compared = published.filter((name) => !signed.includes(name));
  const words = script('compare-builds.sh', first, second, VERSION, ...compared);
  const report = [
    (await toolbox.run([scratch, CHECKOUT], words, COMPARE_TIMEOUT_MS)).trimEnd(),
    ...compareSigned(VERSION, await readSigned(first), await readSigned(second)),
    ...others.map((name) => `differs ${name}: the second build alone has it`),
  ].join('\n');
  say(report);
  process.exitCode = /^differs/m.test(report) ? 1 : 0;
} finally {
  await rm(scratch, { recursive: true, force: true });
}

async function readSigned(directory: string): Promise<SignedFiles> {
  const names = signedNames(VERSION);
  const text = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  return {
    updateJws: await text(names.updateJws),
    manifest: await text(names.manifest),
    sums: await text(names.sums),
    sumsSignature: await readFile(join(directory, names.sumsSignature)),
    certificate: await text('release.crt'),
  };
}
