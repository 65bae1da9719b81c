/**
 * Owns how much must be looked at again after a plan was applied, so that verifying costs what the change did.
 * Pure. Does not look (reconciler.ts).
 */
import type { ItemId } from '../model/ids.ts';
import type { AnyItem, Outcome, Plan } from './item.ts';
import { itemOf } from './plan.ts';

/**
 * The items to look at, where that proves as much as looking at everything: all steps went well, nothing was deleted
 * (the kernel drops things with what they stood on), and nothing that was on the box stands on what was changed.
 * What a change does elsewhere all the same raises a kernel event, and the next run looks at everything; where it does
 * not (FRR's configuration), the driver observes whole (driver.ts).
 */
export function looksEnough<I extends AnyItem>(
  plan: Plan<I>,
  outcomes: readonly Outcome[],
  observed: readonly I[],
): readonly I[] | undefined {
  if (outcomes.length < plan.steps.length || outcomes.some((outcome) => !outcome.ok)) return undefined;
  const modified = new Set<ItemId>();
  for (const step of plan.steps) {
    if (step.op === 'delete') return undefined;
    if (step.op === 'modify') modified.add(step.to.id);
  }
  const carries = modified.size > 0 && observed.some((item) => item.needs.some((need) => modified.has(need)));
  return carries ? undefined : plan.steps.map(itemOf);
}
