/**
 * Owns putting the read-outs of the local API together. Does not own what a status says (telemetry).
 */
import type { LocalPlan, LocalStatus, ModemStatus } from '../model/localStatus.ts';
import { STATUS_SCHEMA } from '../model/status.ts';
import type { AnyItem } from '../reconcile/item.ts';
import { itemOf } from '../reconcile/plan.ts';
import { renderPlan } from '../reconcile/planText.ts';
import type { Clock } from '../system/ports.ts';
import type { ControllerLink } from './controllerLink.ts';
import type { DesiredKeeper } from './desiredState.ts';
import type { Holding } from './holding.ts';
import type { Lanes } from './items.ts';
import type { CostMeter } from './ownCost.ts';
import type { StatusBody } from './reporting.ts';

export function readLocalStatus(parts: {
  readonly body: StatusBody;
  readonly holding: Pick<Holding, 'states'>;
  readonly keeper: Pick<DesiredKeeper, 'snapshot'>;
  readonly link: Pick<ControllerLink, 'state'>;
  readonly modems: readonly ModemStatus[];
  readonly cost: CostMeter;
  readonly version: string;
  readonly clock: Clock;
}): LocalStatus {
  const { gatewayId, ...body } = parts.body;
  const { committed, trial } = parts.keeper.snapshot();
  const { connected, uplink, sinceMs, lastProblem } = parts.link.state();
  return {
    schema: STATUS_SCHEMA,
    ...body,
    ...(gatewayId === undefined ? {} : { gatewayId }),
    readAtMs: parts.clock.nowMs(),
    controller: {
      connected,
      sinceMs,
      ...(uplink === undefined ? {} : { uplink }),
      ...(lastProblem === undefined ? {} : { lastProblem }),
    },
    ...(parts.modems.length > 0 && { modems: [...parts.modems] }),
    agent: {
      version: parts.version,
      ...parts.cost.read(),
      source: trial !== undefined ? 'trial' : committed !== undefined ? 'committed' : 'factory',
      lanes: parts.holding.states().map(({ name, report, defect }) => ({
        name,
        ...(report === undefined ? {} : { converged: report.converged && defect === undefined }),
        items: report?.observation.items.filter(({ owner }) => owner === 'us').length ?? 0,
        blocked: report?.plan.blocked.length ?? 0,
        failed: report?.failures.size ?? 0,
        durationMs: Math.round(report?.durationMs ?? 0),
      })),
    },
  };
}

/** Made now, from the box as it is; nothing is applied. */
export async function readLocalPlan(
  lanes: Lanes,
  items: readonly AnyItem[],
  signal: AbortSignal,
): Promise<LocalPlan> {
  const plans = await Promise.all(lanes.all.map((lane) => lane.plan(items, signal)));
  const steps = plans.flatMap((plan) => plan.steps);
  const blocked = plans.flatMap((plan) => plan.blocked);
  const unseen = plans.flatMap((plan) =>
    [...plan.unobserved].map(([kind, { message }]) => ({ kind, reason: message })),
  );
  return {
    empty: steps.length === 0 && unseen.length === 0,
    steps: steps.map((step) => ({
      op: step.op,
      id: itemOf(step).id,
      ...(step.op === 'modify' || step.because === undefined ? {} : { because: step.because }),
    })),
    blocked: blocked.map(({ id, missing }) => ({ id, missing: [...missing] })),
    unseen,
    text: renderPlan({ steps, blocked }, unseen),
  };
}
