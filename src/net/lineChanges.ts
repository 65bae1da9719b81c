/**
 * Owns creating, changing and deleting items that are one line of `ip` or `bridge` each.
 * Does not own the lines, nor what is observed.
 */
import type { Driver } from '../reconcile/driver.ts';
import type { AnyItem } from '../reconcile/item.ts';
import type { Runner } from '../system/ports.ts';
import { ALREADY_GONE, type BatchTool, runBatch } from './batch.ts';

export function lineChanges<I extends AnyItem, V extends string>(parts: {
  readonly runner: Pick<Runner, 'run'>;
  readonly tool: BatchTool;
  /** The word of the tool for each; deleting is `del` for all. */
  readonly create: V;
  readonly modify: V;
  readonly line: (verb: V | 'del', item: I) => string;
}): Pick<Driver<I>, 'create' | 'modify' | 'delete'> {
  const { runner, tool, line } = parts;
  const batch = (items: readonly I[], verb: V | 'del', signal: AbortSignal) =>
    runBatch({
      runner,
      tool,
      items,
      render: (item) => [line(verb, item)],
      signal,
      ...(verb === 'del' ? { fine: ALREADY_GONE } : {}),
    });
  return {
    create: (items, signal) => batch(items, parts.create, signal),
    modify: (changes, signal) =>
      batch(
        changes.map((change) => change.to),
        parts.modify,
        signal,
      ),
    delete: (items, signal) => batch(items, 'del', signal),
  };
}
