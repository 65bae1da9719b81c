/**
 * Owns the composition of an agent's side towards its box: the ways that its own connections take, what holds tunnels back
 * and modems up, what is wanted as items, and the lanes that bring it about.
 * Does not own what the box is held to nor whom it tells (fleetSide.ts). No decision is made here.
 */
import { createBundleStore } from '../containers/bundles.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { GatewayStatus } from '../model/status.ts';
import { SYSTEM_BUS } from '../system/dbus.ts';
import { createDeviceClient, type DeviceClient } from '../system/deviceClient.ts';
import { createUplinkDialer, type UplinkDialer } from '../system/uplinkDial.ts';
import { callsPeers } from '../wan/usedTime.ts';
import type { Ground } from './ground.ts';
import { createLanes, type Lanes } from './items.ts';
import { createMediumNetwork, type MediumNetwork } from './mediumNetwork.ts';
import { connectModemManager } from './modemManager.ts';
import { createModemPins } from './modemPins.ts';
import { createModems, type Modems } from './modems.ts';
import { bundlesDirectory, clockFloorPath, leasesDirectory, modemPinsPath, usedTimePath } from './paths.ts';
import { readTimeSync } from './timeSync.ts';
import { createTunnelClock, type TunnelClock } from './tunnelClock.ts';
import { type RankedUplink, rankUplinks } from './uplinkChoice.ts';
import { createWanted, type Wanted } from './wanted.ts';

export interface BoxSide {
  readonly network: MediumNetwork;
  /** For the box's own connections, best first. */
  readonly uplinks: () => readonly RankedUplink[];
  readonly dialer: UplinkDialer;
  /** Of the controller's device API. */
  readonly device: DeviceClient;
  readonly tunnelClock: TunnelClock;
  readonly lanes: Lanes;
  readonly modems: Modems;
  readonly wanted: Wanted;
}

export async function createBoxSide(
  parts: Pick<Ground, 'system' | 'paths' | 'turn' | 'engine' | 'facts' | 'identity'> & {
    /** The rest is of parts that are made after this: none is called before all are. */
    readonly gatewayId: () => string | undefined;
    /** What the box is held to: on a move that of the present owner, until one of the next is tried. */
    readonly spec: () => DesiredSpec | undefined;
    /** The same without that of a present owner on a move. */
    readonly ownSpec: () => DesiredSpec | undefined;
    /** As the last status has them. */
    readonly uplinkStates: () => GatewayStatus['uplinks'];
    /** Something else may be wanted of the box. */
    readonly wakeLanes: () => void;
    /** A status may tell something else. */
    readonly changed: () => void;
  },
): Promise<BoxSide> {
  const { system, paths, turn, engine, facts, identity, spec, ownSpec, wakeLanes, changed } = parts;
  const network = createMediumNetwork(system, paths);
  await network.read();
  const uplinks = () => rankUplinks(spec(), facts.latest(), parts.uplinkStates(), network.latest());
  const dialer = createUplinkDialer({
    leases: uplinks,
    proxy: () => network.latest()?.proxy,
    log: system.log,
  });
  const device = createDeviceClient({
    server: () => ownSpec()?.controller.device ?? { host: 'none.invalid', port: 1 },
    credentials: identity.require,
    dialer,
  });
  const bundles = createBundleStore({ directory: bundlesDirectory(paths), device });
  const tunnelClock = await createTunnelClock({
    system,
    path: usedTimePath(paths),
    publicKey: () => facts.latest().wireguardPublicKey,
    calls: () => {
      const held = spec();
      return held !== undefined && callsPeers(held);
    },
    timeSync: (limit) => readTimeSync(system, clockFloorPath(paths), limit),
    renewKey: facts.renewWireguardKey,
    onChange: () => {
      wakeLanes();
      changed();
    },
  });
  const lanes = createLanes({ system, engine, bundles, facts: facts.latest });
  const modems = createModems({
    system,
    leases: leasesDirectory(paths),
    pins: await createModemPins(system, modemPinsPath(paths)),
    connect: (on) => connectModemManager({ socketPath: SYSTEM_BUS, uid: process.getuid?.() ?? 0, ...on }),
    onWays: wakeLanes,
    onStates: changed,
  });
  const wanted = await createWanted({
    system,
    paths,
    facts,
    network,
    spec,
    clockIsBehind: tunnelClock.isBehind,
    modems,
    gatewayId: () => (ownSpec() === undefined && turn.before?.state.gatewayId) || parts.gatewayId(),
  });
  return { network, uplinks, dialer, device, tunnelClock, lanes, modems, wanted };
}
