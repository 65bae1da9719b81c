/**
 * Owns the verdict on a box: its conditions in their order, each with code, severity, and a sentence that says what,
 * where, why and what mends it; those of what was asked for (desired state, items, apps); and the box's state, which
 * follows from all.
 * Does not own the findings of its traffic (trafficFindings.ts) and of the box itself (ownFindings.ts). Pure: the same
 * input gives the same conditions, and a condition keeps the time since which it holds.
 */
import type { ItemId } from '../model/ids.ts';
import { observedApp } from '../model/observedApps.ts';
import type { Condition, GatewayStatus } from '../model/status.ts';
import { finding, type Finding } from './finding.ts';
import { clockFindings, type OwnCondition, softwareFindings, trustFindings } from './ownFindings.ts';
import { appItems, type Undone } from './status.ts';
import { type TrafficCondition, trafficFindings } from './trafficFindings.ts';

export interface HealthInput extends OwnCondition, TrafficCondition {
  readonly undone: Undone;
  /** Why an item waits, in a sentence, for gates that are known. */
  readonly gateSentence: (id: ItemId) => string | undefined;
  /** undefined: no controller is expected yet. */
  readonly controller: { readonly connected: boolean; readonly lastProblem: string | undefined } | undefined;
  readonly refused: GatewayStatus['refused'];
  readonly eventsDropped: number;
}

/** At most so many of one kind: a box with 1,000 blocked items says so in a few sentences. */
const MAX_OF_A_CODE = 20;

export function judge(input: HealthInput): readonly Finding[] {
  return [
    ...trustFindings(input),
    ...controllerFindings(input),
    ...clockFindings(input),
    ...trafficFindings(input),
    ...itemFindings(input),
    ...appFindings(input),
    ...softwareFindings(input),
    ...(input.eventsDropped > 0
      ? [
          finding(
            'events-dropped',
            'warning',
            'outbox',
            `${input.eventsDropped} events were dropped unsent, the oldest first, since the controller took none for long. Nothing mends the gap; later events are kept.`,
          ),
        ]
      : []),
  ];
}

/** Times of conditions that were there already are kept. */
export function conditionsOf(
  findings: readonly Finding[],
  before: readonly Condition[],
  nowMs: number,
): readonly Condition[] {
  const since = new Map(before.map((one) => [`${one.code} ${one.subject}`, one.sinceMs]));
  const counts = new Map<string, number>();
  return findings.flatMap((found) => {
    const count = (counts.get(found.code) ?? 0) + 1;
    counts.set(found.code, count);
    if (count > MAX_OF_A_CODE) return [];
    return [{ ...found, sinceMs: since.get(`${found.code} ${found.subject}`) ?? nowMs }];
  });
}

/** failed: no traffic can pass; degraded: something that was asked for is not there. */
export function healthState(conditions: readonly Condition[]): GatewayStatus['health']['state'] {
  if (conditions.some(({ severity }) => severity === 'error')) return 'failed';
  return conditions.some(({ severity }) => severity === 'warning') ? 'degraded' : 'ok';
}

function controllerFindings({ controller, refused, quarantine }: HealthInput): Finding[] {
  const found: Finding[] = [];
  // Its broker turns a box in quarantine away; that is said, and whether it answers otherwise the identity process sees.
  if (controller?.connected === false && quarantine === undefined) {
    const why = controller.lastProblem === undefined ? '' : ` (${controller.lastProblem})`;
    found.push(
      finding(
        'controller-unreachable',
        'warning',
        'controller',
        `The controller does not answer over any uplink${why}. Traffic goes on as committed; the box keeps trying.`,
      ),
    );
  }
  if (refused !== undefined && refused.overAtMs === undefined) {
    const back = refused.reason === 'rolled-back';
    const first = refused.problems[0];
    const why = first === undefined ? refused.reason : `${first.path}: ${first.message}`;
    found.push(
      finding(
        back ? 'desired-rolled-back' : 'desired-refused',
        'warning',
        refused.generation === undefined ? refused.digest.slice(0, 16) : `generation ${refused.generation}`,
        back
          ? `A desired state was tried and taken back (${why}). The box runs the committed one; publish a corrected one.`
          : `A desired state was refused (${why}) and nothing changed. Publish a corrected one.`,
      ),
    );
  }
  return found;
}

function itemFindings({ undone, gateSentence }: HealthInput): Finding[] {
  const failed = [...undone.failures].map(([id, { message }]) =>
    // Messages are sentences, some with their period.
    finding(
      'item-failed',
      'warning',
      id,
      `${id} cannot be brought about: ${message.replace(/\.$/, '')}. It is tried again.`,
    ),
  );
  const blocked = [...undone.blocked].map(([id, missing]) => {
    const why = missing.flatMap((gate) => gateSentence(gate) ?? []);
    const words = why.length > 0 ? ` ${[...new Set(why)].join(' ')}` : '';
    return finding('item-blocked', 'warning', id, `${id} waits for ${missing.join(', ')}.${words}`);
  });
  return [...failed, ...blocked];
}

function appFindings({ spec, body, box, undone }: HealthInput): Finding[] {
  if (spec === undefined || spec.apps.length === 0) return [];
  if ('untold' in box.apps) {
    const sentence = `The container engine does not say how its apps are (${box.apps.untold}): running ones run on, but none can be started or changed. \`systemctl status docker.service\` says more.`;
    return [finding('engine-unreachable', 'warning', 'engine', sentence)];
  }
  return body.apps
    .filter(({ state }) => state !== 'running' && state !== 'starting')
    .map(({ name, state }) => {
      const failure = appItems(name).flatMap((id) => undone.failures.get(id)?.message ?? [])[0];
      const reason = observedApp(box.apps, name)?.reason ?? failure ?? 'see its items';
      return finding(
        'app-down',
        'warning',
        name,
        `App ${name} is ${state}: ${reason}. \`branchbox explain app:${name}\` says more.`,
      );
    });
}
