/**
 * Owns running a step in the tools tree (in-tools). Does not own the steps.
 */
import { join } from 'node:path';
import type { Runner } from '../src/system/ports.ts';

export interface Toolbox {
  readonly tree: string;
  /** `visible`: directories of the host that the step sees, writable, at their own paths. The step's standard output. */
  run(visible: readonly string[], words: readonly string[], timeoutMs?: number): Promise<string>;
}

const TIMEOUT_MS = 10 * 60_000;

export function createToolbox(
  runner: Runner,
  tree: string,
  environment: Record<string, string> = {},
): Toolbox {
  const assignments = Object.entries(environment).map(([name, value]) => `${name}=${value}`);
  return {
    tree,
    run: (visible, words, timeoutMs = TIMEOUT_MS) =>
      runner.runChecked(
        join(import.meta.dirname, 'in-tools'),
        [tree, ...new Set(visible), '--', 'env', ...assignments, ...words],
        { timeoutMs },
      ),
  };
}
