/**
 * Owns telling the other processes of this box what is known of the time (model KnownTime), by a file below /run: they meet
 * the owner's servers under the same wrong clock. Does not own what is known (clockFloor.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { KnownTime } from '../model/knownTime.ts';
import type { Files, Logger } from '../system/ports.ts';

/** It holds no secret, and who looks at a box may look at this. */
const MODE = 0o644;

export function createTimeTelling(
  { files, log }: { readonly files: Pick<Files, 'writeDurable'>; readonly log: Logger },
  path: string,
): (known: KnownTime) => Promise<void> {
  return async (known) => {
    try {
      await files.writeDurable(path, `${JSON.stringify(known)}\n`, MODE);
    } catch (thrown) {
      // A full /run keeps nobody from bootstrapping. Whatever is no refusal of the system is no matter of this file.
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.warn('the other processes of this box are not told the time', { error: thrown });
    }
  };
}
