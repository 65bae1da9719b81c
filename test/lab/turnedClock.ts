/**
 * Owns the system's clock as processes of a test see it, turned by libfaketime: one that begins at a moment, and one that
 * all of them share and that the test turns while they run. The machine's own count (CLOCK_MONOTONIC) goes on as ever.
 */
import { rename, writeFile } from 'node:fs/promises';

const FAKETIME = [
  'env',
  'LD_PRELOAD=/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1',
  'FAKETIME_DONT_FAKE_MONOTONIC=1',
];

/** Words before a command, by whose clock it is that moment when it begins: `@2045-01-01 00:00:00`. */
export const beginningAt = (moment: string): readonly string[] => [...FAKETIME, `FAKETIME=${moment}`];

export interface TurnedClock {
  /** Words before a command. */
  readonly words: readonly string[];
  nowMs(): number;
  /** For everybody who runs under it, at once. */
  turnTo(momentMs: number): Promise<void>;
}

/** `file` says how far from the machine's own clock it is; until it is turned it is right. */
export async function createTurnedClock(file: string): Promise<TurnedClock> {
  let aheadS = 0;
  const write = async (): Promise<void> => {
    // Whole, or as before: it is read at every look at the clock.
    await writeFile(`${file}.new`, `+${aheadS}\n`);
    await rename(`${file}.new`, file);
  };
  await write();
  return {
    words: [...FAKETIME, `FAKETIME_TIMESTAMP_FILE=${file}`, 'FAKETIME_NO_CACHE=1'],
    nowMs: () => Date.now() + aheadS * 1000,
    turnTo(momentMs) {
      aheadS = Math.round((momentMs - Date.now()) / 1000);
      return write();
    },
  };
}
