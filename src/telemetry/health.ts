/**
 * Owns the verdict on a box: conditions with code, severity, and a sentence that says what, where, why and what mends
 * it; and the box's state from them. Does not own what is found of the box itself rather than of its traffic
 * (ownFindings.ts). Pure: the same input gives the same conditions, and a condition keeps the time
 * since it is there.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { ItemId } from '../model/ids.ts';
import type { ModemReason, ModemStatus } from '../model/localStatus.ts';
import type { Condition, GatewayStatus } from '../model/status.ts';
import { finding, type Finding } from './finding.ts';
import { clockFindings, type OwnCondition, softwareFindings, trustFindings } from './ownFindings.ts';
import type { BoxReading, StatusBody, Undone } from './status.ts';
import { appItems } from './status.ts';

export interface HealthInput extends OwnCondition {
  readonly spec: DesiredSpec | undefined;
  readonly body: StatusBody;
  readonly box: BoxReading;
  readonly undone: Undone;
  /** Why an item waits, in a sentence, for gates that are known. */
  readonly gateSentence: (id: ItemId) => string | undefined;
  /** undefined: no controller is expected yet. */
  readonly controller: { readonly connected: boolean; readonly lastProblem: string | undefined } | undefined;
  readonly refused: GatewayStatus['refused'];
  readonly eventsDropped: number;
  /** Of those that are wanted. */
  readonly modems: readonly ModemStatus[];
}

/** Of one kind at most so many: a box with 1,000 blocked items says it in a few sentences. */
const MAX_OF_A_CODE = 20;

export function judge(input: HealthInput): readonly Finding[] {
  return [
    ...trustFindings(input),
    ...controllerFindings(input),
    ...clockFindings(input),
    ...uplinkFindings(input),
    ...modemFindings(input),
    ...pathFindings(input),
    ...overlayFindings(input),
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

/** What keeps its tunnels from standing, whatever the providers do; said before anybody is sent to look at a cable. */
function tunnelsWaitFor({ quarantine, clockBehind }: OwnCondition): string | undefined {
  if (quarantine !== undefined) return 'peers take nothing from a box in quarantine (quarantined)';
  return clockBehind === undefined ? undefined : 'they wait for the clock of this box (clock-behind)';
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

function uplinkFindings(input: HealthInput): Finding[] {
  const { body, spec } = input;
  const waitsFor = tunnelsWaitFor(input);
  return body.uplinks
    .filter(({ state }) => state === 'down')
    .map((uplink) => {
      const where = `Uplink ${uplink.name} (port ${uplink.port})`;
      const address = uplink.address ?? uplink.address6;
      const modem = input.modems.find(({ port, reason }) => port === uplink.port && reason !== 'connected');
      const sentence =
        modem !== undefined
          ? `${where} is not connected. ${modem.sentence}`
          : uplink.ifname === undefined
            ? `${where} is not there: no interface of this box is that port. The hardware model names none, or the card is missing.`
            : !uplink.carrier
              ? `${where} has no carrier: check its cable and the provider's box.`
              : address === undefined
                ? `${where} has no address: ${silence(spec?.uplinks.find(({ name }) => name === uplink.name))}.`
                : waitsFor === undefined
                  ? `${where} has address ${address}, but nothing answers through it: the provider is dark, or blocks UDP.`
                  : `${where} has address ${address}; no tunnel stands over it: ${waitsFor}.`;
      return finding('uplink-down', 'warning', uplink.name, sentence);
    });
}

/** On its way by itself, or told with the uplink alone: a modem that was pulled out is an uplink that is down. */
const PASSING: ReadonlySet<ModemReason> = new Set([
  'connected',
  'starting',
  'connecting',
  'absent',
  'searching',
]);

/** One for each reason, so that each raises an event of its own: what it wants of a person. */
function modemFindings({ body, modems }: HealthInput): Finding[] {
  return modems.flatMap(({ port, reason, sentence }) => {
    const uplink = body.uplinks.find((one) => one.port === port);
    if (uplink === undefined || PASSING.has(reason)) return [];
    return [finding('modem', 'warning', `${uplink.name} ${reason}`, sentence)];
  });
}

/** Who was to give an address. */
function silence(uplink: DesiredSpec['uplinks'][number] | undefined): string {
  if (uplink?.addressing.kind === 'none') return "the provider's router advertises no IPv6 prefix";
  if (uplink?.addressing.kind === 'pppoe')
    return 'its PPPoE session does not come about (`journalctl -u pppoe@*` says what the provider answers)';
  return uplink?.addressing6 === undefined
    ? "the provider's DHCP does not answer"
    : "neither the provider's DHCP answers nor does its router advertise an IPv6 prefix";
}

function pathFindings(input: HealthInput): Finding[] {
  const { body, spec, box, quarantine } = input;
  const { paths } = body;
  const waitsFor = tunnelsWaitFor(input);
  const known = box.frr.liveness !== undefined;
  const found = paths
    .filter(({ state }) => state === 'down')
    .map(({ id, uplink, peer, handshakeAgeS }) => {
      if (!known) {
        const sentence = `Whether the path to ${peer} over uplink ${uplink} is up is not known: FRR's bfdd does not answer. Routes stay as they are; \`systemctl status frr-bfdd.service\` says why.`;
        return finding('path-down', 'warning', id, sentence);
      }
      const handshake =
        handshakeAgeS === undefined
          ? 'there was no WireGuard handshake'
          : `the last WireGuard handshake was ${handshakeAgeS} s ago`;
      // A path that had its handshake did not wait for the clock.
      const isHeldBack = waitsFor !== undefined && (quarantine !== undefined || handshakeAgeS === undefined);
      return finding(
        'path-down',
        'warning',
        id,
        isHeldBack
          ? `The path to ${peer} over uplink ${uplink} (${id}) is down: ${waitsFor}.`
          : `The path to ${peer} over uplink ${uplink} (${id}) is down: ${handshake}. Check the uplinks that it names, at both ends.`,
      );
    });
  // A hub's branches come and go without the hub being at fault.
  if (spec?.role !== 'branch' || !known) return found;
  for (const peer of new Set(paths.map((path) => path.peer))) {
    if (paths.some((path) => path.peer === peer && path.state === 'up')) continue;
    found.push(
      finding(
        'no-path',
        'error',
        peer,
        `No path to ${peer} is up, so that segments end at this box: ${waitsFor ?? 'check its uplinks'}.`,
      ),
    );
  }
  return found;
}

function overlayFindings({ spec, box: { frr }, quarantine }: HealthInput): Finding[] {
  // No tunnel brings it to a reflector then.
  if (spec === undefined || quarantine !== undefined) return [];
  const down = spec.overlay.reflectors.filter(({ vtep }) => frr.sessions?.get(vtep) !== true);
  if (down.length === 0) return [];
  // One living reflector is enough; without any, what was learned holds until its hold time is over.
  const severity = down.length === spec.overlay.reflectors.length ? 'error' : 'warning';
  return down.map(({ gatewayId, vtep }) =>
    finding(
      'overlay-down',
      severity,
      gatewayId,
      frr.sessions === undefined
        ? `FRR's bgpd does not answer, so that nothing is known of other sites. It is started again by itself.`
        : `The EVPN session with reflector ${gatewayId} (${vtep}) is not established: check the paths to it.`,
    ),
  );
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
  if (box.apps === undefined) {
    const sentence =
      'The container engine does not answer: running apps run on, but none can be started or changed. `systemctl status docker.service` says why.';
    return [finding('engine-unreachable', 'warning', 'engine', sentence)];
  }
  return body.apps
    .filter(({ state }) => state !== 'running' && state !== 'starting')
    .map(({ name, state }) => {
      const failure = appItems(name).flatMap((id) => undone.failures.get(id)?.message ?? [])[0];
      const reason = box.apps?.find((one) => one.app === name)?.reason ?? failure ?? 'see its items';
      return finding(
        'app-down',
        'warning',
        name,
        `App ${name} is ${state}: ${reason}. \`branchbox explain app:${name}\` says more.`,
      );
    });
}
