/**
 * Owns the certificates of servers and services that are revoked for good: kept here, beside the CA's key, so that whoever
 * broke into the controller's host can put one on the list and take none off it. Nothing in this process removes an entry.
 * Does not own the lists that they stand on (revocationLists.ts), nor boxes' certificates, which the controller names.
 */
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createSerialQueue } from '../../system/serialQueue.ts';
import { CertificateNumber, type ForGoodReason, RevokedForGoodEntry } from './messages.ts';

export interface RevokedForGood {
  all(): readonly RevokedForGoodEntry[];
  /** On disk when it resolves. Idempotent: the first entry stands. */
  add(number: string, reason: ForGoodReason): Promise<RevokedForGoodEntry>;
}

const FILE = 'revoked-for-good.json';
/** A controller has two certificates a year. Ten thousand boxes' entries and these still fit the cap of a list. */
const MAX_ENTRIES = 1_000;
const Kept = z.strictObject({
  schema: z.literal(1),
  revoked: z.array(RevokedForGoodEntry).max(MAX_ENTRIES),
});

/** Throws where the file cannot be read: without it the next list would let a revoked server in again. */
export async function openRevokedForGood(options: {
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly directory: string;
}): Promise<RevokedForGood> {
  const { files, clock } = options;
  const path = join(options.directory, FILE);
  const text = await files.readText(path);
  let kept: readonly RevokedForGoodEntry[] = text === undefined ? [] : decodeJson(Kept, text, path).revoked;

  async function add(number: string, reason: ForGoodReason): Promise<RevokedForGoodEntry> {
    const known = kept.find((entry) => entry.number === number);
    if (known !== undefined) return known;
    if (kept.length >= MAX_ENTRIES) {
      throw new BranchboxError('controller/refused', {
        message: `${MAX_ENTRIES} certificates are revoked for good, and there is no room for more`,
        mend: 'begin with a new domain CA: branchbox signer rollover',
      });
    }
    const entry = { number: CertificateNumber.parse(number), revokedAtMs: clock.nowMs(), reason };
    const next = [...kept, entry];
    await files.writeDurable(path, `${JSON.stringify({ schema: 1, revoked: next }, null, 1)}\n`, 0o600);
    kept = next;
    return entry;
  }

  // One at a time: two that come together must both be in the file.
  const inTurn = createSerialQueue();
  return {
    all: () => kept,
    add: (number, reason) => inTurn(() => add(number, reason)),
  };
}
