/**
 * Owns comparing the output directories of two builds: every file that is published, in either of them.
 * Does not own how files are compared (compare-builds.sh; compareSigned.ts of what holds a signature).
 */
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { compareSigned, type SignedFiles, signedNames } from './compareSigned.ts';
import { script } from './ingredients.ts';
import type { Toolbox } from './toolbox.ts';

const TIMEOUT_MS = 30 * 60_000;

/** Lines; those that begin with "differs" are what nobody can explain. */
export async function compareBuilds(
  version: string,
  first: string,
  second: string,
  toolbox: Toolbox,
): Promise<readonly string[]> {
  // A note of where the inputs lay (madeBefore.ts), which is another place for each build.
  const note = `branchbox-${version}.inputs`;
  const published = async (directory: string): Promise<string[]> =>
    (await readdir(directory)).filter((name) => name !== note).sort();
  const names = await published(first);
  const ofSecond = (await published(second)).filter((name) => !names.includes(name));
  const signed = Object.values(signedNames(version));
  const plain = names.filter((name) => !signed.includes(name));
  const words = script('compare-builds.sh', first, second, version, ...plain);
  const report = await toolbox.run([first, second, import.meta.dirname], words, TIMEOUT_MS);
  return [
    ...report.trimEnd().split('\n'),
    ...compareSigned(version, await readSigned(version, first), await readSigned(version, second)),
    ...ofSecond.map((name) => `differs ${name}: the second build alone has it`),
  ];
}

async function readSigned(version: string, directory: string): Promise<SignedFiles> {
  const names = signedNames(version);
  const text = (name: string): Promise<string> => readFile(join(directory, name), 'utf8');
  return {
    updateJws: await text(names.updateJws),
    manifest: await text(names.manifest),
    sums: await text(names.sums),
    sumsSignature: await readFile(join(directory, names.sumsSignature)),
    certificate: await text('release.crt'),
  };
}
