/**
 * Owns carrying a plan out: steps that do not depend on each other go to their driver in one call, and a failure
 * stops only what depends on it. Does not own the order (plan.ts), nor whether it had the effect (reconciler.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Driver } from './driver.ts';
import type { AnyItem, Outcome, Plan, Step } from './item.ts';
import { itemOf } from './plan.ts';

export interface ApplyOptions<I extends AnyItem> {
  readonly driverOf: (kind: string) => Driver<I> | undefined;
  readonly signal: AbortSignal;
  /** Not tried now (they wait for their back-off), each with its last error; what depends on them is not either. */
  readonly held?: ReadonlyMap<ItemId, BranchboxError>;
}

/** One outcome for each step that was tried or stopped by another's failure. Throws only where the signal aborts. */
export async function applyPlan<I extends AnyItem>(
  plan: Plan<I>,
  options: ApplyOptions<I>,
): Promise<readonly Outcome[]> {
  const outcomes: Outcome[] = [];
  /** What later steps cannot build on: failed, held, or stopped by one of these. */
  const broken = new Set<ItemId>(options.held?.keys());
  /** For deletes: what a broken dependent still stands on. */
  const occupied = new Map<ItemId, ItemId>();
  const settle = (outcome: Outcome, step: Step<I>): void => {
    outcomes.push(outcome);
    if (!outcome.ok) spoil(step, broken, occupied);
  };

  for (const batch of batchesOf(plan.steps)) {
    const ready: Step<I>[] = [];
    for (const step of batch) {
      const id = itemOf(step).id;
      if (options.held?.has(id) === true) {
        spoil(step, broken, occupied);
        continue;
      }
      const blocker = blockerOf(step, broken, occupied);
      if (blocker === undefined) ready.push(step);
      else settle({ id, ok: false, error: blockedBy(id, blocker) }, step);
    }
    if (ready.length === 0) continue;
    options.signal.throwIfAborted();
    const results = await callDriver(ready, options);
    for (const step of ready) {
      const { id } = itemOf(step);
      settle(results.get(id) ?? { id, ok: false, error: unanswered(id) }, step);
    }
  }
  return outcomes;
}

/** Consecutive steps of one op and kind of which none depends on another. Pure. */
export function batchesOf<I extends AnyItem>(steps: readonly Step<I>[]): readonly (readonly Step<I>[])[] {
  const batches: Step<I>[][] = [];
  let current: Step<I>[] = [];
  let ids = new Set<ItemId>();
  let needs = new Set<ItemId>();
  for (const step of steps) {
    const item = itemOf(step);
    const first = current[0];
    const joins =
      first !== undefined &&
      first.op === step.op &&
      itemOf(first).kind === item.kind &&
      !needs.has(item.id) &&
      !item.needs.some((need) => ids.has(need));
    if (!joins) {
      current = [];
      ids = new Set();
      needs = new Set();
      batches.push(current);
    }
    current.push(step);
    ids.add(item.id);
    for (const need of item.needs) needs.add(need);
  }
  return batches;
}

function spoil<I extends AnyItem>(step: Step<I>, broken: Set<ItemId>, occupied: Map<ItemId, ItemId>): void {
  const item = itemOf(step);
  broken.add(item.id);
  if (step.op === 'delete') for (const need of item.needs) occupied.set(need, item.id);
}

function blockerOf<I extends AnyItem>(
  step: Step<I>,
  broken: ReadonlySet<ItemId>,
  occupied: ReadonlyMap<ItemId, ItemId>,
): ItemId | undefined {
  const item = itemOf(step);
  if (step.op === 'delete') return occupied.get(item.id);
  // A recreate whose delete failed is still there in its old form.
  if (broken.has(item.id)) return item.id;
  return item.needs.find((need) => broken.has(need));
}

async function callDriver<I extends AnyItem>(
  batch: readonly Step<I>[],
  options: ApplyOptions<I>,
): Promise<ReadonlyMap<ItemId, Outcome>> {
  const [first] = batch;
  const driver = first === undefined ? undefined : options.driverOf(itemOf(first).kind);
  if (first === undefined || driver === undefined) return new Map();
  const items = batch.map(itemOf);
  const { signal } = options;
  try {
    const outcomes = await (first.op === 'create'
      ? driver.create(items, signal)
      : first.op === 'delete'
        ? driver.delete(items, signal)
        : driver.modify(
            batch.filter((step) => step.op === 'modify'),
            signal,
          ));
    return new Map(outcomes.map((outcome) => [outcome.id, outcome]));
  } catch (thrown) {
    signal.throwIfAborted();
    const error = asBranchboxError(thrown);
    return new Map(items.map(({ id }) => [id, { id, ok: false, error }]));
  }
}

function blockedBy(id: ItemId, blocker: ItemId): BranchboxError {
  const message =
    id === blocker ? `${id} is still there as it was` : `${id} waits for ${blocker}, which failed`;
  return new BranchboxError('reconcile/blocked', { message });
}

function unanswered(id: ItemId): BranchboxError {
  return new BranchboxError('internal', { message: `the driver of ${id} did not say what became of it` });
}
