/**
 * Owns the timestamp that everything in an image carries: the commit's, so that two builds of a commit are the same
 * (reproducible-builds.org, SOURCE_DATE_EPOCH).
 * Does not own what is stamped with it.
 */
import { existsSync } from 'node:fs';
import { stat } from 'node:fs/promises';
import { join } from 'node:path';
import { ensureHostTools } from '../src/lab/hostTools.ts';
import { BranchboxError } from '../src/model/errors.ts';
import type { Making } from './trees.ts';

/** In seconds since 1970: what SOURCE_DATE_EPOCH says, else the commit's, else that of a source archive's files. */
export async function commitTime(checkout: string, making: Making): Promise<number> {
  const { SOURCE_DATE_EPOCH: wanted } = process.env;
  if (wanted !== undefined) {
    if (/^[0-9]{1,11}$/.test(wanted)) return Number(wanted);
    throw new BranchboxError('cli/usage', {
      message: `SOURCE_DATE_EPOCH is ${JSON.stringify(wanted)} and no number of seconds since 1970`,
      mend: 'unset it, or set it as in: SOURCE_DATE_EPOCH=$(git log -1 --format=%ct)',
    });
  }
  // `git archive` gives all its files the commit's time.
  if (!existsSync(join(checkout, '.git'))) {
    const { mtimeMs } = await stat(join(checkout, 'package.json'));
    return Math.floor(mtimeMs / 1000);
  }
  await ensureHostTools(making.runner, making.say, { forImage: true });
  // Root builds in the checkout of whoever it is, and runs nothing that the checkout's configuration says.
  const words = ['-c', `safe.directory=${checkout}`, '-C', checkout, 'log', '-1', '--format=%ct'];
  return Number(await making.runner.runChecked('git', words));
}
