/**
 * `npm run image`: makes the bootable disk and what is published beside it, in out/image.
 * Owns the words of the command and the order of stages. Does not own any stage.
 */
import { execFileSync } from 'node:child_process';
import { mkdir, readFile } from 'node:fs/promises';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createRunner } from '../src/system/linux/runner.ts';
import { assemble } from './assemble.ts';
import { ensureIngredients } from './ingredients.ts';
import { ensureKeys } from './keys.ts';
import { publish } from './publish.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const USAGE = `usage: npm run image -- [--version VERSION] [--variant agent-fails|panics] [--keys DIR] [--out DIR] [--disk]

  --version  default: that of package.json
  --variant  deliberately broken, for tests of going back
  --keys     keys to sign with (docs/image.md); default out/keys, test keys made on first use
  --out      default out/image
  --disk     the disk and the parts of its slot alone: no downloads, no package, no inventory

example: npm run image -- --version 0.2.0
`;

const { values } = parseArgs({
  options: {
    version: { type: 'string' },
    variant: { type: 'string' },
    keys: { type: 'string' },
    out: { type: 'string' },
    disk: { type: 'boolean' },
    help: { type: 'boolean' },
  },
});
if (values.help === true) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const { variant } = values;
if (variant !== undefined && variant !== 'agent-fails' && variant !== 'panics') {
  process.stderr.write(USAGE);
  process.exit(2);
}

const making = { runner: createRunner(), say: (line: string) => process.stdout.write(`${line}\n`) };
const { version } = JSON.parse(await readFile(join(CHECKOUT, 'package.json'), 'utf8')) as { version: string };
const out = resolve(values.out ?? join(CHECKOUT, 'out/image'));
await mkdir(out, { recursive: true });
const ingredients = await ensureIngredients(making);
const keys = await ensureKeys(resolve(values.keys ?? join(CHECKOUT, 'out/keys')), ingredients.toolbox);
const sourceDateEpoch = Number(
  execFileSync('git', ['-C', CHECKOUT, 'log', '-1', '--format=%ct'], { encoding: 'utf8' }),
);
const made = await assemble(
  {
    version: values.version ?? version,
    ...(variant === undefined ? {} : { variant }),
    ingredients,
    keys,
    out,
    sourceDateEpoch,
  },
  making,
);
if (values.disk !== true) await publish({ made, ingredients, keys, out, sourceDateEpoch }, making);
process.stdout.write(`${made.raw}\n`);
