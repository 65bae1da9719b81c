/**
 * Owns FRR's lines for BGP EVPN: sessions between VTEP addresses, hubs as reflectors, and what a hub takes from
 * and gives to each branch. BGP knows nothing of uplinks: only the route to a VTEP moves when one fails.
 */
import type { DesiredSpec } from '../model/desired.ts';
import { frrLine } from '../net/frrConfig.ts';
import type { FrrLineItem } from '../net/items.ts';

const CLIENTS = 'branches';
const REFLECTORS = 'reflectors';
/** Lists and maps of one branch are named by it; 128 characters are FRR's cap on both. */
const takenFrom = (gatewayId: string): string => `from-${gatewayId}`;
const givenTo = (gatewayId: string): string => `to-${gatewayId}`;
const vnisOf = (gatewayId: string): string => `vnis-${gatewayId}`;
/** A route of two targets could hide a forbidden one behind a permitted one: lists match by any. */
const NOTHING = 'nothing';
const SEVERAL_TARGETS = 'several-targets';

/**
 * Keepalive 3 s: a rebooted peer answers it with a reset, so that the old session is gone at once. Hold 30 s: a site
 * without any path for a while keeps what it knows.
 */
const TIMERS = 'timers 3 30';
/**
 * A branch calls its hub every second, not every 120 s as FRR would. A hub calls its branches too, since after a
 * crash of its bgpd that joins them at once (0.3 s, against 1.1 waiting for them), but 4,096 absent ones only seldom.
 */
const CALL_INTERVAL_S = { reflectors: 1, branches: 10 } as const;

/** FRR derives a VNI's route target from the two low bytes of the AS number. */
const routeTarget = (asn: number, vni: number): string => `${asn % 65_536}:${vni}`;

export function renderBgp(spec: DesiredSpec): FrrLineItem[] {
  const { asn } = spec.fleet;
  const { clients, reflectors } = spec.overlay;
  if (clients.length === 0 && reflectors.length === 0) return [];
  const context = [`router bgp ${asn}`];
  const evpn = [...context, 'address-family l2vpn evpn'];
  const vpn = [...context, 'address-family ipv4 vpn'];
  const isHub = spec.role === 'hub';

  const group = (name: keyof typeof CALL_INTERVAL_S): FrrLineItem[] => [
    frrLine(context, `neighbor ${name} peer-group`),
    frrLine(context, `neighbor ${name} remote-as ${asn}`),
    frrLine(context, `neighbor ${name} update-source ${spec.vtep}`),
    frrLine(context, `neighbor ${name} ${TIMERS}`),
    frrLine(context, `neighbor ${name} timers connect ${CALL_INTERVAL_S[name]}`),
    // Not for stale routes (FRR 10.3 keeps none of EVPN): a peer that calls again after a power cut replaces its old
    // session at once (RFC 4724 section 5). Without it each call is turned away until that one's hold time is over.
    frrLine(context, `neighbor ${name} graceful-restart`),
    frrLine(evpn, `neighbor ${name} activate`),
    frrLine(vpn, `neighbor ${name} activate`),
  ];
  const member = (
    name: string,
    peer: { readonly gatewayId: string; readonly vtep: string },
  ): FrrLineItem[] => [
    frrLine(context, `neighbor ${peer.vtep} peer-group ${name}`),
    frrLine(context, `neighbor ${peer.vtep} description ${peer.gatewayId}`),
  ];

  return [
    frrLine([], context[0] ?? ''),
    frrLine(context, `bgp router-id ${spec.vtep}`),
    frrLine(context, 'no bgp default ipv4-unicast'),
    // FRR holds updates back for up to 1 s to gather more; joining again after a crash took 2.3 s instead of 1.3.
    frrLine(context, 'coalesce-time 0'),
    ...(spec.segments.length > 0 ? [frrLine(evpn, 'advertise-all-vni')] : []),
    ...(reflectors.length > 0 ? group(REFLECTORS) : []),
    ...reflectors.flatMap((reflector) => member(REFLECTORS, reflector)),
    ...(clients.length > 0
      ? [
          ...group(CLIENTS),
          frrLine([], `route-map ${NOTHING} deny 10`),
          frrLine(vpn, `neighbor ${CLIENTS} route-map ${NOTHING} in`),
          ...(isHub ? [frrLine(evpn, `neighbor ${CLIENTS} route-reflector-client`)] : []),
          frrLine([], `bgp extcommunity-list expanded ${SEVERAL_TARGETS} seq 5 permit RT:.*RT:`),
          // A branch may speak of a new segment before the hub permits it. What was turned away is asked for again when
          // the list changed, 5 s later as FRR would: 0 is never, 1 the least.
          frrLine([], 'bgp route-map delay-timer 1'),
        ]
      : []),
    ...clients.flatMap((client) => [...member(CLIENTS, client), ...clientPolicy(client, evpn, asn)]),
  ];
}

/** A hub does not trust branches: only own VNIs, only with the own VTEP as next hop; and told of no others. */
function clientPolicy(
  client: DesiredSpec['overlay']['clients'][number],
  evpn: readonly string[],
  asn: number,
): FrrLineItem[] {
  const { gatewayId, vtep } = client;
  const vnis = vnisOf(gatewayId);
  const entry = (map: string, kind: 'permit' | 'deny', sequence: number, lines: readonly string[]) => {
    const header = `route-map ${map} ${kind} ${sequence}`;
    return [frrLine([], header), ...lines.map((line) => frrLine([header], line))];
  };
  const own = [`match extcommunity ${vnis}`, `match ip next-hop address ${vtep}`];
  return [
    // One list a branch, numbered by VNI: a new segment is one line, and moves no other.
    ...client.vnis.map((vni) =>
      frrLine([], `bgp extcommunity-list standard ${vnis} seq ${vni} permit rt ${routeTarget(asn, vni)}`),
    ),
    ...entry(takenFrom(gatewayId), 'deny', 10, [`match extcommunity ${SEVERAL_TARGETS}`]),
    ...entry(takenFrom(gatewayId), 'permit', 20, ['match evpn route-type macip', ...own]),
    ...entry(takenFrom(gatewayId), 'permit', 30, ['match evpn route-type multicast', ...own]),
    ...entry(givenTo(gatewayId), 'permit', 10, [`match extcommunity ${vnis}`]),
    frrLine(evpn, `neighbor ${vtep} route-map ${takenFrom(gatewayId)} in`),
    frrLine(evpn, `neighbor ${vtep} route-map ${givenTo(gatewayId)} out`),
  ];
}
