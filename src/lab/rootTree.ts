/**
 * Owns which trees a lab needs, made when they are not there: the one that nodes run from, and the units' systemd.
 * Does not own trees as such (image/trees.ts) nor the recipe (image/make-root.sh, image/packages*.txt).
 */
import { ensureTree, NODES_TREE, TOOLS_TREE } from '../../image/trees.ts';
import type { Runner } from '../system/ports.ts';

export const ensureRootTree = (runner: Runner, say: (line: string) => void): Promise<string> =>
  ensureTree(NODES_TREE, { runner, say });

/** Systemd and what makes images: for tests, not for a lab. */
export const ensureToolsTree = (runner: Runner, say: (line: string) => void): Promise<string> =>
  ensureTree(TOOLS_TREE, { runner, say });
