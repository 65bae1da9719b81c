/**
 * `npm run image`: makes the bootable disk and what is published beside it, in out/image.
 * Owns the words of the command and the order of stages. Does not own any stage.
 */
import { resolve } from 'node:path';
import { inspect } from 'node:util';
import { asBranchboxError, renderError } from '../src/model/errors.ts';
import { createRunner } from '../src/system/linux/runner.ts';
import { buildDisk } from './disk.ts';
import { publish } from './publish.ts';
import { VARIANTS } from './staging.ts';
import { versionProblem } from './version.ts';
import { wordsOf } from './words.ts';

const USAGE = `usage: npm run image -- [--version VERSION] [--variant ${VARIANTS.join('|')}] [--keys DIR [--test-keys]] [--out DIR] [--cache DIR] [--disk]

  --version  as in 0.2.0 or 0.2.0~rc1; default: that of package.json
  --variant  deliberately broken, for tests of going back
  --keys     directory of the keys to sign with, as files or as PKCS#11 URIs (docs/image.md, "Keys"); default out/keys,
             where test keys are made, which no other build's boxes believe
  --test-keys  have them made in DIR too where it has none
  --out      default out/image
  --cache    where trees are kept; default /var/cache/branchbox
  --disk     the disk and the parts of its slot alone: no downloads, no package, no inventory

Needs root on Linux and a Debian mirror; mmdebstrap, and git in a clone, are installed where they are missing.
example: npm run image -- --version 0.2.0 --keys ~/keys
`;

const values = wordsOf(process.argv.slice(2), {
  version: { type: 'string' },
  variant: { type: 'string' },
  keys: { type: 'string' },
  'test-keys': { type: 'boolean' },
  out: { type: 'string' },
  cache: { type: 'string' },
  disk: { type: 'boolean' },
  help: { type: 'boolean' },
});
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
const { version, keys, out, cache } = values;
const problem = version === undefined ? undefined : versionProblem(version);
if (problem !== undefined) {
  process.stderr.write(
    `--version ${JSON.stringify(version)} names no version of an image: ${problem}\n${USAGE}`,
  );
  process.exit(2);
}

// Trees and files of an image are for everybody to read; whoever has just made keys has another umask.
process.umask(0o022);
const making = {
  runner: createRunner(),
  say: (line: string) => process.stdout.write(`${line}\n`),
  ...(cache === undefined ? {} : { cache: resolve(cache) }),
};
try {
  const disk = await buildDisk(
    {
      ...(version === undefined ? {} : { version }),
      ...(variant === undefined ? {} : { variant }),
      ...(keys === undefined ? {} : { keys, testKeys: values['test-keys'] === true }),
      ...(out === undefined ? {} : { out }),
    },
    making,
    (each) => (values.disk === true ? Promise.resolve() : publish(each, making)),
  );
  process.stdout.write(`${disk.made.raw}\n`);
} catch (thrown) {
  const error = asBranchboxError(thrown);
  // What nobody foresaw is told with where it happened.
  process.stderr.write(`${error.code === 'internal' ? inspect(thrown) : renderError(error)}\n`);
  process.exitCode = 1;
}
