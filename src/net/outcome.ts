/**
 * Owns building outcomes, and running an effect for each of many items where it cannot be batched.
 * Does not own what an effect is.
 */
import { asBranchboxError, BranchboxError, type ErrorCode } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Outcome } from '../reconcile/item.ts';

export const done = (id: ItemId): Outcome => ({ id, ok: true });

export const failed = (id: ItemId, thrown: unknown): Outcome => ({
  id,
  ok: false,
  error: asBranchboxError(thrown),
});

/** A tool's complaint about one item, with the code that says whether trying again can help. */
export function refused(id: ItemId, tool: string, complaint: string, what: string): Outcome {
  const words = complaint.trim().replaceAll(/\s*\n\s*/g, '; ') || 'no reason given';
  const taken = /File exists|Address already assigned/.test(words);
  const code: ErrorCode = /Unknown device type|not supported/i.test(words) ? 'net/unsupported' : 'net/kernel';
  const message = taken
    ? `${id}: there is one already that is not ours, so it is left alone (${tool}: ${words})`
    : `${id}: ${tool} refused: ${words}`;
  return {
    id,
    ok: false,
    error: new BranchboxError(code, {
      message,
      fields: { command: what.slice(0, 300) },
      ...(taken ? { mend: 'Remove or rename what somebody else made there.' } : {}),
    }),
  };
}

/** One after the other; a failure does not keep the rest from being tried. */
export async function eachInTurn<I extends { readonly id: ItemId }>(
  items: readonly I[],
  effect: (item: I) => Promise<void>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  for (const item of items) {
    try {
      await effect(item);
      outcomes.push(done(item.id));
    } catch (thrown) {
      outcomes.push(failed(item.id, thrown));
    }
  }
  return outcomes;
}

/** All at the same time: for effects that are mostly waiting, on things that have nothing to do with each other. */
export async function eachAtOnce<I extends { readonly id: ItemId }>(
  items: readonly I[],
  effect: (item: I) => Promise<void>,
): Promise<readonly Outcome[]> {
  const outcomes = await Promise.all(items.map((item) => eachInTurn([item], effect)));
  return outcomes.flat();
}
