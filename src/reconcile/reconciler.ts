/**
 * Owns one run towards a desired list: observe, plan, apply, and verify by observing again.
 * Does not own when to run, nor back-off between runs (loop.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { applyPlan } from './apply.ts';
import type { Driver, Drivers } from './driver.ts';
import type { AnyItem, Outcome, Plan } from './item.ts';
import { looksEnough } from './scope.ts';
import { itemOf, planItems } from './plan.ts';
import { renderPlan, renderStep } from './planText.ts';

export interface Observation<I extends AnyItem> {
  readonly items: readonly I[];
  /** The needs of wanted items that others bring about. */
  readonly gates: ReadonlySet<ItemId>;
  /** Kinds that could not be observed (FRR is not running): nothing of them is planned. */
  readonly unobserved: ReadonlyMap<string, BranchboxError>;
}

/** A plan that has not been applied. */
export interface Proposal<I extends AnyItem> extends Plan<I> {
  /** Wanted kinds that could not be observed, each with the reason: whether anything of them is to be done is not known. */
  readonly unobserved: ReadonlyMap<string, BranchboxError>;
}

export interface Report<I extends AnyItem> {
  /** Nothing left to do, and every wanted kind was observed. Blocked items may remain. */
  readonly converged: boolean;
  /** What is left to do, and what is blocked. */
  readonly plan: Plan<I>;
  readonly observation: Observation<I>;
  /** The last error of each item that could not be brought about. */
  readonly failures: ReadonlyMap<ItemId, BranchboxError>;
  /** Steps that were carried out. */
  readonly applied: number;
  readonly durationMs: number;
}

export type Observer = (signal: AbortSignal) => Promise<readonly AnyItem[]>;

export interface ConvergeOptions {
  /** Not tried in this run, each with its last error: still in trouble, so still told. */
  readonly held?: ReadonlyMap<ItemId, BranchboxError>;
}

export interface Reconciler<I extends AnyItem> {
  /** Of `desired` only the needs matter: which kinds of others are looked at. */
  observe(desired: readonly I[], signal: AbortSignal): Promise<Observation<I>>;
  plan(desired: readonly I[], signal: AbortSignal): Promise<Proposal<I>>;
  apply(plan: Plan<I>, signal: AbortSignal): Promise<readonly Outcome[]>;
  converge(desired: readonly I[], signal: AbortSignal, options?: ConvergeOptions): Promise<Report<I>>;
}

/**
 * The kernel drops things of itself (addresses with their link), and some only show after a moment; what one round
 * leaves, the next brings. More rounds than this mean that two things undo each other.
 */
const MAX_ROUNDS = 4;
/** For what appears a moment after the call that made it (a link made by a service). */
const SETTLE_MS = 150;
const MAX_LOGGED_STEPS = 12;

export function createReconciler<I extends AnyItem>(parts: {
  readonly drivers: Drivers<I>;
  /** Kinds that others reconcile: observed where a wanted item needs one of them, never changed. */
  readonly others?: ReadonlyMap<string, Observer>;
  readonly clock: Clock;
  readonly log: Logger;
}): Reconciler<I> {
  const { clock, log } = parts;
  const drivers: ReadonlyMap<string, Driver<I>> = new Map(Object.entries(parts.drivers));
  const driverOf = (kind: string): Driver<I> | undefined => drivers.get(kind);
  const recreate = (from: I, to: I): boolean => driverOf(to.kind)?.needsRecreate(from, to) ?? false;

  const observeGates = async (desired: readonly I[], signal: AbortSignal): Promise<Set<ItemId>> => {
    // An id begins with its kind (itemId).
    const kinds = new Set(
      desired.flatMap((item) => item.needs.map((need) => need.slice(0, need.indexOf(':')))),
    );
    const observers = [...(parts.others ?? [])].filter(([kind]) => kinds.has(kind));
    const found = await Promise.all(
      // What cannot be seen gates nothing open; what stands on it is left as it is.
      observers.map(([, look]) => look(signal).catch((): readonly AnyItem[] => [])),
    );
    signal.throwIfAborted();
    return new Set(found.flat().map((item) => item.id));
  };

  const observe: Reconciler<I>['observe'] = async (desired, signal) => {
    const unobserved = new Map<string, BranchboxError>();
    const gates = observeGates(desired, signal);
    const kinds = Promise.all(
      [...drivers].map(async ([kind, driver]) => {
        try {
          return await driver.observe(signal);
        } catch (thrown) {
          signal.throwIfAborted();
          unobserved.set(kind, asBranchboxError(thrown));
          return [];
        }
      }),
    );
    // Awaited together, so that neither rejects unhandled.
    const [found, there] = await Promise.all([kinds, gates]);
    return { items: found.flat(), gates: there, unobserved };
  };

  /** The observation before, with what was done to these looked at again. */
  const observeAgain = async (
    before: Observation<I>,
    touched: readonly I[],
    signal: AbortSignal,
  ): Promise<Observation<I>> => {
    const unobserved = new Map(before.unobserved);
    const ids = new Set(touched.map((item) => item.id));
    const isTold = ({ id, kind }: I): boolean => ids.has(id) || driverOf(kind)?.observesWhole === true;
    const kinds = new Set(touched.map((item) => item.kind));
    const isNewer = (item: I): boolean => kinds.has(item.kind) && isTold(item);
    const looks = [...Map.groupBy(touched, (item) => item.kind)].map(async ([kind, only]) => {
      try {
        return (await driverOf(kind)?.observe(signal, only)) ?? [];
      } catch (thrown) {
        signal.throwIfAborted();
        unobserved.set(kind, asBranchboxError(thrown));
        return [];
      }
    });
    const found = (await Promise.all(looks)).flat().filter(isNewer);
    const rest = before.items.filter((item) => !isNewer(item));
    return { items: [...rest, ...found], gates: before.gates, unobserved };
  };

  const planFor = (desired: readonly I[], observation: Observation<I>): Plan<I> => {
    const seen = desired.filter((item) => !observation.unobserved.has(item.kind));
    return planItems(seen, observation.items, recreate, observation.gates);
  };

  return {
    observe,
    async plan(desired, signal) {
      const observation = await observe(desired, signal);
      const wanted = new Set<string>(desired.map(({ kind }) => kind));
      const unobserved = new Map([...observation.unobserved].filter(([kind]) => wanted.has(kind)));
      return { ...planFor(desired, observation), unobserved };
    },
    apply: (plan, signal) => applyPlan(plan, { driverOf, signal }),
    async converge(desired, signal, options = {}) {
      const startMs = clock.monotonicMs();
      const failures = new Map<ItemId, BranchboxError>();
      let observation = await observe(desired, signal);
      let plan = planFor(desired, observation);
      let applied = 0;
      for (let round = 1; plan.steps.length > 0 && round <= MAX_ROUNDS; round += 1) {
        const outcomes = await applyPlan(plan, { driverOf, signal, held: options.held ?? new Map() });
        const done = outcomes.filter((outcome) => outcome.ok).length;
        applied += done;
        if (done > 0) log.info('plan applied', { round, done, of: plan.steps.length, ...someOf(plan) });
        failures.clear();
        for (const outcome of outcomes) if (!outcome.ok) failures.set(outcome.id, outcome.error);
        if (round > 1 && done > 0) await clock.sleep(SETTLE_MS, signal);
        if (done === 0) break;
        const touched = looksEnough(plan, outcomes, observation.items);
        if (touched !== undefined) {
          observation = await observeAgain(observation, touched, signal);
          plan = planFor(desired, observation);
        }
        // If anything is not as it was meant to be, everything is looked at.
        if (touched === undefined || plan.steps.length > 0) {
          observation = await observe(desired, signal);
          plan = planFor(desired, observation);
        }
      }
      addLeftovers(plan, failures, options.held);
      addUnobserved(desired, observation, failures);
      const durationMs = clock.monotonicMs() - startMs;
      return {
        converged: plan.steps.length === 0 && failures.size === 0,
        plan,
        observation,
        failures,
        applied,
        durationMs,
      };
    },
  };
}

/** For a log: what a small plan did; of a large one the beginning. */
function someOf<I extends AnyItem>(plan: Plan<I>): { readonly steps: readonly string[] } {
  return { steps: plan.steps.slice(0, MAX_LOGGED_STEPS).map((step) => renderStep(step).slice(0, 160)) };
}

/** Steps that were reported as done, and are still to be done. */
function addLeftovers<I extends AnyItem>(
  plan: Plan<I>,
  failures: Map<ItemId, BranchboxError>,
  held: ReadonlyMap<ItemId, BranchboxError> | undefined,
): void {
  const left = new Set(plan.steps.map((step) => itemOf(step).id));
  for (const id of failures.keys()) if (!left.has(id)) failures.delete(id);
  for (const step of plan.steps) {
    const { id } = itemOf(step);
    if (failures.has(id)) continue;
    const lastError = held?.get(id);
    failures.set(
      id,
      lastError ??
        new BranchboxError('reconcile/not-converged', {
          message: `after applying, this is still to do: ${renderPlan({ steps: [step], blocked: [] })}`,
        }),
    );
  }
}

function addUnobserved<I extends AnyItem>(
  desired: readonly I[],
  observation: Observation<I>,
  failures: Map<ItemId, BranchboxError>,
): void {
  for (const item of desired) {
    const error = observation.unobserved.get(item.kind);
    if (error !== undefined && item.owner === 'us') failures.set(item.id, error);
  }
}
