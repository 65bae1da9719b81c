/**
 * `npm run image`: makes the bootable disk and what is published beside it, in out/image.
 * Owns the words of the command and the order of stages. Does not own any stage.
 */
import { resolve } from 'node:path';
import { parseArgs } from 'node:util';
import { createRunner } from '../src/system/linux/runner.ts';
import { buildDisk } from './disk.ts';
import { publish } from './publish.ts';
import { VARIANTS } from './staging.ts';

const USAGE = `usage: npm run image -- [--version VERSION] [--variant ${VARIANTS.join('|')}] [--keys DIR] [--out DIR] [--cache DIR] [--disk]

  --version  default: that of package.json
  --variant  deliberately broken, for tests of going back
  --keys     keys to sign with (docs/image.md); default out/keys, test keys made on first use
  --out      default out/image
  --cache    where trees are kept; default /var/cache/branchbox
  --disk     the disk and the parts of its slot alone: no downloads, no package, no inventory

example: npm run image -- --version 0.2.0
`;

const values = wordsOf(process.argv.slice(2));
if (values === undefined) {
  process.stderr.write(USAGE);
  process.exit(2);
}
if (values.help === true) {
  process.stdout.write(USAGE);
  process.exit(0);
}
const variant = VARIANTS.find((each) => each === values.variant);
if (values.variant !== variant) {
  process.stderr.write(USAGE);
  process.exit(2);
}

// Trees and files of an image are for everybody to read; whoever has just made keys has another umask.
process.umask(0o022);
const { version, keys, out, cache } = values;
const making = {
  runner: createRunner(),
  say: (line: string) => process.stdout.write(`${line}\n`),
  ...(cache === undefined ? {} : { cache: resolve(cache) }),
};
const disk = await buildDisk(
  {
    ...(version === undefined ? {} : { version }),
    ...(variant === undefined ? {} : { variant }),
    ...(keys === undefined ? {} : { keys }),
    ...(out === undefined ? {} : { out }),
  },
  making,
);
if (values.disk !== true) await publish(disk, making);
process.stdout.write(`${disk.made.raw}\n`);

/** undefined: one of them is not known, or lacks its value; said already. */
function wordsOf(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        version: { type: 'string' },
        variant: { type: 'string' },
        keys: { type: 'string' },
        out: { type: 'string' },
        cache: { type: 'string' },
        disk: { type: 'boolean' },
        help: { type: 'boolean' },
      },
    }).values;
  } catch (thrown) {
    process.stderr.write(`${thrown instanceof Error ? thrown.message : String(thrown)}\n`);
    return undefined;
  }
}
