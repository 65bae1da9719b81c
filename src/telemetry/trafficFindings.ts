/**
 * Owns what is found of a box's traffic: its uplinks and their modems, the paths over them, FRR's sessions over those.
 * Does not own what is found of the box itself (ownFindings.ts), nor of what it was asked for (health.ts). Pure.
 */
import type { DesiredSpec } from '../model/desired.ts';
import type { ModemReason, ModemStatus } from '../model/localStatus.ts';
import { finding, type Finding } from './finding.ts';
import type { OwnCondition } from './ownFindings.ts';
import type { BoxReading, StatusBody } from './status.ts';

export interface TrafficCondition {
  readonly spec: DesiredSpec | undefined;
  readonly body: StatusBody;
  readonly box: BoxReading;
  /** Of those that are wanted. */
  readonly modems: readonly ModemStatus[];
}
/** What keeps tunnels down is told before anybody is sent to look at a cable. */
type TrafficInput = TrafficCondition & Pick<OwnCondition, 'quarantine' | 'clockBehind'>;

export const trafficFindings = (input: TrafficInput): readonly Finding[] => [
  ...uplinkFindings(input),
  ...modemFindings(input),
  ...pathFindings(input),
  ...overlayFindings(input),
];

/** What keeps its tunnels from standing, whatever the providers do. */
function tunnelsWaitFor({ quarantine, clockBehind }: TrafficInput): string | undefined {
  if (quarantine !== undefined) return 'peers take nothing from a box in quarantine (quarantined)';
  return clockBehind === undefined ? undefined : 'they wait for the clock of this box (clock-behind)';
}

function uplinkFindings(input: TrafficInput): Finding[] {
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
function modemFindings({ body, modems }: TrafficInput): Finding[] {
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

function pathFindings(input: TrafficInput): Finding[] {
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
      // Not how long ago, which is in the status beside it: a sentence that changes with each look would be a status each time,
      // over the lines that are left.
      const handshake =
        handshakeAgeS === undefined
          ? 'there was no WireGuard handshake'
          : 'it stood before, since there was a WireGuard handshake';
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

function overlayFindings({ spec, box: { frr }, quarantine }: TrafficInput): Finding[] {
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
