/**
 * Owns the items of one tunnel: a WireGuard interface pinned to its uplink, and for each path over it the
 * BFD-monitored route and the kernel's floor below it.
 * Does not choose between paths: each comes with a preference, which becomes FRR's distance.
 */
import { contains, overlaps, splitCidr } from '../model/addresses.ts';
import type { DesiredSpec, Tunnel, TunnelPeer } from '../model/desired.ts';
import { VXLAN_OVERHEAD_BYTES } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { type ItemId, itemId, linkItem, uplinkMark, wireguardOf } from '../model/ids.ts';
import { attachmentOf, FAMILIES, type Family, familyOf, hasFamily } from '../model/underlay.ts';
import { frrLine } from '../net/frrConfig.ts';
import { address, clockGate, kernelGate, link, route, wireguard } from '../net/itemIds.ts';
import type { NetItem, WireGuardPeerSpec } from '../net/items.ts';
import type { DistanceOf } from './distances.ts';
import { callsByTunnel } from './usedTime.ts';
import { ifnameOfUplink } from './uplinkLine.ts';
import { renderPins } from './uplinkPins.ts';
import { uplinkRoute } from './uplinks.ts';

const PRIVATE_KEY_FILE = '/var/lib/branchbox/agent/wireguard.key';
/** The kernel's `main`: FRR's default table, which the rules for the VTEP range look up. */
const MAIN_TABLE = 254;
/**
 * The floor is below every route of FRR: zebra takes a kernel route's top metric byte for its distance
 * (4261412864 = 254 << 24), so it loses to any static route, and carries when staticd is gone.
 */
const FLOOR_METRIC = 4_261_412_864;
/** What FRR takes for granted, and so does not print (bfdd's BFD_DEFDETECTMULT, BFD_DEFDESIREDMINTX). */
const DEFAULT_MULTIPLIER = 3;
const DEFAULT_INTERVAL_MS = 300;
const DEFAULT_DISTANCE = 1;

const profileOf = (liveness: TunnelPeer['liveness']): string =>
  `bfd-${liveness.intervalMs}x${liveness.multiplier}`;

/** BFD profiles are named by their timers: changing a path's timers is a change of its route's line alone. */
export function renderBfdProfiles(tunnels: readonly Tunnel[]): NetItem[] {
  const all = tunnels.flatMap((tunnel) => tunnel.peers.map((peer) => peer.liveness));
  const byName = new Map(all.map((liveness) => [profileOf(liveness), liveness]));
  return [...byName].flatMap(([name, { intervalMs, multiplier }]) => {
    const context = ['bfd', `profile ${name}`];
    return [
      frrLine(['bfd'], `profile ${name}`),
      ...(multiplier === DEFAULT_MULTIPLIER ? [] : [frrLine(context, `detect-multiplier ${multiplier}`)]),
      ...(intervalMs === DEFAULT_INTERVAL_MS
        ? []
        : [
            frrLine(context, `transmit-interval ${intervalMs}`),
            frrLine(context, `receive-interval ${intervalMs}`),
          ]),
    ];
  });
}

/** What the peer is routed for: its VTEP, and beyond it the VTEPs that it forwards to (a hub's branches). */
function destinationsOf(peer: TunnelPeer, vtepRange: string): string[] {
  const beyond = peer.allowed.filter((network) => overlaps(network, vtepRange));
  return [...new Set([`${peer.vtep}/32`, ...beyond])];
}

function wireguardPeer(peer: TunnelPeer): WireGuardPeerSpec {
  const own = [`${peer.tunnelAddress}/32`, `${peer.vtep}/32`].filter(
    (host) => !peer.allowed.some((network) => contains(network, splitCidr(host).address)),
  );
  return {
    publicKey: peer.publicKey,
    ...(peer.endpoint === undefined ? {} : { endpoint: peer.endpoint }),
    allowedIps: [...new Set([...own, ...peer.allowed])].sort(),
    keepaliveS: peer.keepaliveS,
  };
}

function renderPath(peer: TunnelPeer, tunnel: Tunnel, vtepRange: string, distanceOf: DistanceOf): NetItem[] {
  const ifname = wireguardOf(tunnel.id);
  const needs: ItemId[] = [linkItem(ifname), itemId('address', ifname, tunnel.address)];
  const items: NetItem[] = [];
  if (!contains(tunnel.address, peer.tunnelAddress)) {
    const host = route(
      {
        table: MAIN_TABLE,
        destination: `${peer.tunnelAddress}/32`,
        type: 'unicast',
        dev: ifname,
        metric: DEFAULT_DISTANCE,
      },
      needs,
    );
    items.push(host);
    needs.push(host.id);
  }
  for (const destination of destinationsOf(peer, vtepRange)) {
    const place = distanceOf(destination, peer);
    const distance = place === DEFAULT_DISTANCE ? '' : ` ${place}`;
    items.push(
      frrLine(
        [],
        `ip route ${destination} ${peer.tunnelAddress} ${ifname}${distance} bfd profile ${profileOf(peer.liveness)}`,
        needs,
      ),
      route(
        {
          table: MAIN_TABLE,
          destination,
          type: 'unicast',
          via: peer.tunnelAddress,
          dev: ifname,
          metric: FLOOR_METRIC + place,
        },
        needs,
      ),
    );
  }
  return items;
}

/**
 * By which family a tunnel goes out first: that of whom it calls. An end that only answers does so in either, and need not
 * wait for the one that its provider owes it.
 */
function speakingFamily(tunnel: Tunnel, uplink: DesiredSpec['uplinks'][number], facts: Facts): Family {
  const called = tunnel.peers.find(({ endpoint }) => endpoint !== undefined)?.endpoint;
  if (called !== undefined) return familyOf(called.address);
  const has = FAMILIES.filter((family) => hasFamily(uplink, family));
  const ifname = ifnameOfUplink(facts, uplink);
  const ready = has.find((family) => attachmentOf(uplink, family, ifname, facts)?.gateway !== undefined);
  return ready ?? has[0] ?? 4;
}

export function renderTunnel(
  tunnel: Tunnel,
  spec: DesiredSpec,
  facts: Facts,
  { distanceOf, clockIsBehind }: { readonly distanceOf: DistanceOf; readonly clockIsBehind: boolean },
): NetItem[] {
  const uplink = spec.uplinks.find((candidate) => candidate.name === tunnel.uplink);
  if (uplink === undefined) return [];
  const ifname = wireguardOf(tunnel.id);
  const implementation = facts.kernel.features['wireguard'] ? 'kernel' : 'userspace';
  return [
    link(
      {
        type: 'wireguard',
        name: ifname,
        // One MTU at both ends whatever the underlay is: a smaller underlay alarms and never changes it. The outer
        // packet is 60 bytes more over IPv4 and 80 over IPv6 (WireGuard 32, UDP 8, IP 20 or 40).
        mtu: spec.fleet.tenantMtu + VXLAN_OVERHEAD_BYTES,
        implementation,
      },
      implementation === 'kernel' ? [kernelGate('wireguard')] : [kernelGate('tun')],
    ),
    wireguard(
      {
        link: ifname,
        privateKeyFile: PRIVATE_KEY_FILE,
        publicKey: facts.wireguardPublicKey,
        ...(tunnel.listenPort === undefined ? {} : { listenPort: tunnel.listenPort }),
        mark: uplinkMark(uplink.slot),
        peers: tunnel.peers.map(wireguardPeer).sort((a, b) => (a.publicKey < b.publicKey ? -1 : 1)),
      },
      // Pinned before it speaks: its first packet must already be bound to its uplink, and have a way out of it.
      // WireGuard tries again only after 5 s (REKEY_TIMEOUT), and it speaks as soon as it knows its peers.
      [
        linkItem(ifname),
        ...renderPins(uplink, spec.uplinks).map(({ id }) => id),
        uplinkRoute(uplink.slot, speakingFamily(tunnel, uplink, facts)),
        // Only a call has a time in it. Where nobody is called, a wrong clock hinders nobody, and holding back would.
        ...(clockIsBehind && callsByTunnel(tunnel) ? [clockGate()] : []),
      ],
    ),
    address({ link: ifname, address: tunnel.address }, [linkItem(ifname)]),
    ...tunnel.peers.flatMap((peer) => renderPath(peer, tunnel, spec.fleet.vtepRange, distanceOf)),
  ];
}
