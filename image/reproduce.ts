/**
 * `npm run image:reproduce`: builds one version twice from nothing, trees included, and says what differs, down to the
 * files within. Leaves nothing behind but its verdict. Does not own the build (disk.ts, publish.ts).
 */
import { mkdir, mkdtemp, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { createRunner } from '../src/system/linux/runner.ts';
import { buildDisk } from './disk.ts';
import { script } from './ingredients.ts';
import { publish } from './publish.ts';
import { createToolbox } from './toolbox.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const VERSION = '0.0.0';
/**
 * Different each time by their nature: an ECDSA signature holds a random number. What they sign is compared:
 * the other lines of SHA256SUMS, and the update manifest's payload by the parts that it names.
 */
const SIGNATURES = [`branchbox-${VERSION}.update.jws`, 'manifest.json', 'SHA256SUMS', 'SHA256SUMS.sig'];
const COMPARE_TIMEOUT_MS = 30 * 60_000;

const runner = createRunner();
const say = (line: string): void => void process.stdout.write(`${line}\n`);
await mkdir(join(CHECKOUT, 'out'), { recursive: true });
const scratch = await mkdtemp(join(CHECKOUT, 'out/reproduce-'));
try {
  const built: { readonly out: string; readonly tools: string }[] = [];
  for (const name of ['first', 'second']) {
    say(`${name} build`);
    const out = join(scratch, name, 'out');
    const cache = join(scratch, name, 'cache');
    await mkdir(out, { recursive: true });
    await mkdir(cache, { recursive: true });
    const making = { runner, say, cache };
    const disk = await buildDisk({ version: VERSION, keys: join(scratch, 'keys'), out }, making);
    await publish(disk, making);
    built.push({ out, tools: disk.ingredients.toolbox.tree });
  }
  const [first, second] = built;
  if (first === undefined || second === undefined) throw new Error('two builds were made');
  const toolbox = createToolbox(runner, first.tools);
  const compared = (await readdir(first.out)).filter((name) => !SIGNATURES.includes(name)).sort();
  const words = script('compare-builds.sh', first.out, second.out, VERSION, ...compared);
  const report = await toolbox.run([scratch, CHECKOUT], words, COMPARE_TIMEOUT_MS);
  say(report.trimEnd());
  process.exitCode = report.includes('differs') ? 1 : 0;
} finally {
  await rm(scratch, { recursive: true, force: true });
}
