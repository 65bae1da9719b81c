/**
 * Owns over which uplink the owner's servers are asked: one after the other, until one works or no other would do better.
 * Does not own what is asked.
 */
import { BranchboxError, type ErrorCode } from '../model/errors.ts';
import { moreTelling } from './telling.ts';
import type { Uplink } from './uplink.ts';

/** The owner's own words, which another uplink would bring back as well. */
const OWNERS_VERDICTS: readonly ErrorCode[] = [
  'bootstrap/pending',
  'bootstrap/refused',
  'bootstrap/quarantined',
  'bootstrap/superseded',
];
/** Failures of this box itself, the same over every uplink. */
const OWN_KEYS: readonly ErrorCode[] = ['bootstrap/key-lost', 'system/key-unusable'];

/** The first uplink over which it works; a refusal by the owner is final, another uplink would hear the same. */
export async function overUplinks<T>(
  uplinks: readonly Uplink[],
  work: (uplink: Uplink) => Promise<T>,
): Promise<T> {
  let telling: BranchboxError | undefined;
  for (const uplink of uplinks) {
    try {
      return await work(uplink);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      if ([...OWNERS_VERDICTS, ...OWN_KEYS].includes(thrown.code)) throw thrown;
      telling = moreTelling(telling, thrown);
    }
  }
  throw (
    telling ??
    new BranchboxError('bootstrap/unreachable', { message: 'No uplink has an address to send from' })
  );
}
