/**
 * Owns the words that run a program of the tools tree (QEMU, swtpm, mtools, ukify …): the same versions on every host,
 * and nothing to install. Pure. Does not own what is in that tree (image/packages-tools.txt).
 */
import { join } from 'node:path';

const SCRIPT = join(import.meta.dirname, '../../../image/in-tools');

/** `visible`: directories of the host that the program sees, at their own paths. */
export const toolsCommand = (
  tree: string,
  visible: readonly string[],
  words: readonly string[],
): string[] => [SCRIPT, '--stay', tree, ...new Set(visible), '--', ...words];
