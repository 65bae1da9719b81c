/**
 * Owns clearing the identity directory of what a power cut left there: temporaries of writes that did not end. One may
 * hold a key that became nobody's. Does not own writing (system/linux/files.ts).
 */
import { BranchboxError } from '../model/errors.ts';
import type { Files, Logger } from '../system/ports.ts';

/** As writeDurable names them: hidden, and random at the end. */
const TEMPORARY = /^\..+\.[0-9a-f]{12}$/;

/** Before anything is written there. What cannot be removed now (a read-only file system) is no reason not to start. */
export async function removeLeftovers(
  files: Pick<Files, 'list' | 'remove'>,
  directory: string,
  log: Logger,
): Promise<void> {
  for (const name of await files.list(directory)) {
    if (!TEMPORARY.test(name)) continue;
    await files.remove(`${directory}/${name}`).catch((thrown: unknown) => {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.warn('what a power cut left is still there', { name, problem: thrown.message });
    });
  }
}
