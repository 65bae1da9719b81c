/**
 * Owns that one build at a time works in a directory, by the host's locks (src/lab/lock.ts): two of one version would take
 * each other's parts away, and two of any would leave checksums of neither. Who comes second waits, and says for whom.
 * Does not own trees, which have a lock of their own (make-root.sh).
 */
import { createHash } from 'node:crypto';
import { existsSync, realpathSync } from 'node:fs';
import { resolve } from 'node:path';
import { lockName, waitForLock } from '../src/lab/lock.ts';

/** What a directory is for; one may be for both. What whoever waits can do in place of it. */
const INSTEAD = {
  out: 'build into another directory: --out DIR',
  keys: 'take other keys: --keys DIR',
} as const;

/** Runs `work` while no other process of this host, and nobody else in this one, is in `directory` for the same. */
export async function oneAtATime<T>(
  use: keyof typeof INSTEAD,
  directory: string,
  say: (line: string) => void,
  work: () => Promise<T>,
): Promise<T> {
  // By whichever name it is called.
  const path = existsSync(directory) ? realpathSync(directory) : resolve(directory);
  // Abstract names have 107 bytes: no path fits for sure.
  const name = lockName(`${use}:${createHash('sha256').update(path).digest('hex')}`);
  const lock = await waitForLock(name, holderWords(), (holder) =>
    say(
      `${directory} is in use by ${holder}: waiting until that ends. Let it end, or end it; or ${INSTEAD[use]}`,
    ),
  );
  try {
    return await work();
  } finally {
    await lock.release();
  }
}

/** One line: which process, what it was started as, since when. */
const holderWords = (): string =>
  `process ${process.pid} (${process.argv.slice(1).join(' ').replaceAll(/\s+/g, ' ').slice(0, 200)}), since ${new Date().toISOString().slice(0, 19)}Z`;
