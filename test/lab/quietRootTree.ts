/**
 * Owns the root tree for tests that take a daemon from it: made without a word where it is not there.
 * Does not own what is in it (lab/rootTree).
 */
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { createRunner } from '../../src/system/linux/runner.ts';

export const quietRootTree = (): Promise<string> => ensureRootTree(createRunner(), () => undefined);
