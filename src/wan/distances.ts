/**
 * Owns which path goes first to a destination. To one VTEP that is the peer's preference alone. To what lies beyond (a
 * range that several hubs forward to) the paths of different hubs have to be put in one order, since preferences are
 * unique only among the paths to one VTEP: hubs in the order of the desired state, and within each by preference.
 */
import type { Tunnel, TunnelPeer } from '../model/desired.ts';

/** Distance of FRR's route, and the floor's place: unique among the paths to one destination. */
export type DistanceOf = (destination: string, peer: TunnelPeer) => number;

export function orderPaths(tunnels: readonly Tunnel[]): DistanceOf {
  const peers = tunnels.flatMap((tunnel) => tunnel.peers);
  const gateways = [...new Set(peers.map((peer) => peer.gatewayId))];
  const places = new Map<string, ReadonlyMap<TunnelPeer, number>>();
  for (const network of new Set(peers.flatMap((peer) => peer.allowed))) {
    const sharing = peers.filter((peer) => peer.allowed.includes(network));
    if (sharing.every((peer) => peer.gatewayId === sharing[0]?.gatewayId)) continue;
    const ordered = sharing.sort(
      (a, b) => gateways.indexOf(a.gatewayId) - gateways.indexOf(b.gatewayId) || a.preference - b.preference,
    );
    places.set(network, new Map(ordered.map((peer, index) => [peer, index + 1])));
  }
  return (destination, peer) => places.get(destination)?.get(peer) ?? peer.preference;
}
