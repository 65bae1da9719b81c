/**
 * Owns clearing the identity directory of what a power cut left there: temporaries of writes that did not end. One may
 * hold a key that became nobody's. Does not own writing (system/linux/files.ts).
 */
import type { Files } from '../system/ports.ts';

/** As writeDurable names them: hidden, and random at the end. */
const TEMPORARY = /^\..+\.[0-9a-f]{12}$/;

/** Before anything is written there. */
export async function removeLeftovers(
  files: Pick<Files, 'list' | 'remove'>,
  directory: string,
): Promise<void> {
  for (const name of await files.list(directory)) {
    if (TEMPORARY.test(name)) await files.remove(`${directory}/${name}`);
  }
}
