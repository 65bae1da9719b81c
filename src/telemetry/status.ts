/**
 * Owns what a status says of uplinks, paths, segments and apps, from what was read of the box. Pure.
 * Does not own reading (read.ts) nor the verdict (health.ts).
 */
import type { DesiredSpec, TunnelPeer } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import { bridgeItem, type ItemId, itemId, linkItem, vxlanOf, wireguardOf } from '../model/ids.ts';
import { type AppObservation, type AppsReading, observedApp } from '../model/observedApps.ts';
import type { GatewayStatus } from '../model/status.ts';
import { attachmentOf, portIfname, uplinkIfname } from '../model/underlay.ts';
import { type FrrState, pathKey } from './frrState.ts';

/** What was read of the box, at one moment. */
export interface BoxReading {
  readonly frr: FrrState;
  /** Seconds since the last handshake, by public key and interface; undefined where never or unknown. */
  readonly handshakeAgeS: (ifname: string, publicKey: string) => number | undefined;
  /** Interfaces that exist. */
  readonly links: ReadonlySet<string>;
  readonly apps: AppsReading;
}

/** What the last reconcile left undone. */
export interface Undone {
  /** What each blocked item waits for, as ids. */
  readonly blocked: ReadonlyMap<ItemId, readonly ItemId[]>;
  readonly failures: ReadonlyMap<ItemId, { readonly message: string }>;
}

export type StatusBody = Pick<GatewayStatus, 'uplinks' | 'paths' | 'segments' | 'apps'>;

export function statusOf(
  spec: DesiredSpec | undefined,
  facts: Facts,
  box: BoxReading,
  undone: Undone,
): StatusBody {
  if (spec === undefined) return { uplinks: [], paths: [], segments: [], apps: [] };
  const paths = spec.tunnels.flatMap((tunnel) =>
    tunnel.peers.map((peer) => pathStatus(peer, tunnel.uplink, wireguardOf(tunnel.id), box)),
  );
  return {
    uplinks: spec.uplinks.map((uplink) => uplinkStatus(uplink, facts, paths, box.frr.liveness !== undefined)),
    paths,
    segments: segmentsOf(spec, facts, box, undone),
    apps: spec.apps.map((app) => {
      const found = observedApp(box.apps, app.name);
      return {
        name: app.name,
        tenant: app.tenant,
        segment: app.attachment.segment,
        address: app.attachment.address,
        state: appState(app.name, found, undone),
        restarts: found?.restarts ?? 0,
        image: app.image.reference,
      };
    }),
  };
}

function pathStatus(
  peer: TunnelPeer,
  uplink: string,
  ifname: string,
  box: BoxReading,
): StatusBody['paths'][number] {
  const key = pathKey(peer.tunnelAddress, ifname);
  const handshakeAgeS = box.handshakeAgeS(ifname, peer.publicKey);
  return {
    id: peer.path,
    uplink,
    peer: peer.gatewayId,
    state: box.frr.liveness?.get(key) === true ? 'up' : 'down',
    active: box.frr.routes?.get(`${peer.vtep}/32`)?.includes(key) === true,
    preference: peer.preference,
    ...(handshakeAgeS === undefined ? {} : { handshakeAgeS }),
  };
}

/** up: all its paths live; degraded: some, or none is known; down: it has no address, or no path lives. */
function uplinkStatus(
  uplink: DesiredSpec['uplinks'][number],
  facts: Facts,
  paths: StatusBody['paths'],
  isLivenessKnown: boolean,
): StatusBody['uplinks'][number] {
  const port = facts.ports.find(({ label }) => label === uplink.port);
  const ifname = uplinkIfname(uplink, facts);
  const [attachment, attachment6] = ([4, 6] as const).map((family) =>
    attachmentOf(uplink, family, ifname, facts),
  );
  const own = paths.filter((path) => path.uplink === uplink.name);
  const alive = own.filter(({ state }) => state === 'up').length;
  const reachable = port?.carrier === true && (attachment ?? attachment6) !== undefined;
  const state =
    !reachable || (isLivenessKnown && own.length > 0 && alive === 0)
      ? 'down'
      : alive < own.length
        ? 'degraded'
        : 'up';
  return {
    name: uplink.name,
    port: uplink.port,
    ...(ifname === undefined ? {} : { ifname }),
    carrier: port?.carrier ?? false,
    ...(attachment === undefined ? {} : { address: attachment.address }),
    ...(attachment?.gateway === undefined ? {} : { gateway: attachment.gateway }),
    ...(attachment6 === undefined ? {} : { address6: attachment6.address }),
    ...(attachment6?.gateway === undefined ? {} : { gateway6: attachment6.gateway }),
    state,
  };
}

function segmentsOf(
  spec: DesiredSpec,
  facts: Facts,
  box: BoxReading,
  undone: Undone,
): StatusBody['segments'] {
  const ports = new Map<string, string[]>();
  for (const { segment, port } of spec.ports) {
    const own = ports.get(segment);
    if (own === undefined) ports.set(segment, [port]);
    else own.push(port);
  }
  return spec.segments.map((segment) => {
    const own = ports.get(segment.id) ?? [];
    const portsMissing = own.filter((port) => !isAttached(port, facts, box, undone));
    const state = segmentState(segment, box, undone);
    return {
      id: segment.id,
      tenant: segment.tenant,
      vni: segment.vni,
      state: state === 'up' && portsMissing.length > 0 ? 'degraded' : state,
      ports: own,
      portsMissing,
      remoteVteps: [...(box.frr.remoteVteps?.get(segment.vni) ?? [])],
    };
  });
}

/** Whether a LAN port's link is there and in its bridge. A cable is not asked for: hosts come and go. */
function isAttached(port: string, facts: Facts, box: BoxReading, undone: Undone): boolean {
  const ifname = portIfname(port, facts);
  if (!box.links.has(ifname)) return false;
  const id = linkItem(ifname);
  return !undone.blocked.has(id) && !undone.failures.has(id);
}

function segmentState(
  segment: { readonly vni: number },
  box: BoxReading,
  undone: Undone,
): 'up' | 'down' | 'blocked' {
  const items = [bridgeItem(segment), itemId('link', vxlanOf(segment))];
  if (items.some((id) => undone.blocked.has(id))) return 'blocked';
  const there = items.every((id) => box.links.has(id.slice('link:'.length)));
  return there && !items.some((id) => undone.failures.has(id)) ? 'up' : 'down';
}

export const appItems = (app: string): readonly ItemId[] => [
  itemId('app', app),
  itemId('app-attachment', app),
  itemId('app-anchor', app),
];

function appState(
  app: string,
  found: AppObservation | undefined,
  undone: Undone,
): StatusBody['apps'][number]['state'] {
  if (found?.state === 'running') {
    // It may run unreachable: an attachment that could not be made is the app's trouble too.
    return undone.failures.has(itemId('app-attachment', app)) ? 'failed' : 'running';
  }
  if (appItems(app).some((id) => undone.failures.has(id))) return 'failed';
  if (appItems(app).some((id) => undone.blocked.has(id))) return 'blocked';
  return found?.state ?? 'starting';
}
