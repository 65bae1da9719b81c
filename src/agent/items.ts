/**
 * Owns the union of all items of a box, what a desired state renders to, and the lanes that reconcile them: what is
 * slow (images) or may hang (an engine) never holds up what carries traffic.
 * Does not own any kind of item.
 */
import type { Engine } from '../containers/engine.ts';
import { createContainerDrivers } from '../containers/drivers.ts';
import type { Bundles } from '../containers/images.ts';
import type { ContainerItem } from '../containers/items.ts';
import { renderContainers } from '../containers/render.ts';
import { renderInstaller } from '../evpn/installer.ts';
import { renderEvpn } from '../evpn/render.ts';
import type { DesiredSpec } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import { createNetDrivers } from '../net/drivers.ts';
import { presentGates } from '../net/gates.ts';
import type { FdbItem, NetItem } from '../net/items.ts';
import { behindQuarantine, renderQuarantine } from '../policy/quarantine.ts';
import { renderFactoryPolicy, renderPolicy } from '../policy/render.ts';
import type { Drivers } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { planFactoryUplinks, renderFactory } from '../wan/factory.ts';
import { renderWan } from '../wan/render.ts';
import { createLane, type Lane } from './lane.ts';

export type AgentItem = NetItem | ContainerItem;
type ImageItem = Extract<AgentItem, { readonly kind: 'app-image' }>;
/** A forwarding entry is an app's: it stands on the app's attachment. */
type AppLaneItem = Exclude<ContainerItem, ImageItem> | FdbItem;
type NetLaneItem = Exclude<NetItem, FdbItem>;

/**
 * Without a desired state: what bootstrap runs on, and without an owner what an installer sees. Quarantined: all stays
 * that is wanted, apps run on, and no frame of a tenant passes.
 */
export function renderBox(
  spec: DesiredSpec | undefined,
  facts: Facts,
  gatewayId: string | undefined,
  {
    quarantined = false,
    clockIsBehind = false,
    network,
    look,
  }: {
    readonly quarantined?: boolean;
    /** Of a time that its tunnels have used (tunnelClock.ts). */
    readonly clockIsBehind?: boolean;
    readonly network?: BootstrapNetwork | undefined;
    /** Number of the account that SSH lets in; undefined where the machine has none. */
    readonly look?: number | undefined;
  } = {},
): readonly AgentItem[] {
  if (spec === undefined || gatewayId === undefined) {
    const enrolled = gatewayId !== undefined;
    return [
      ...renderFactory(facts, network),
      ...renderFactoryPolicy(planFactoryUplinks(facts, network), facts, { enrolled, look }),
      ...(enrolled ? [] : renderInstaller(facts)),
    ];
  }
  const workloads = [...renderEvpn(spec, facts), ...renderContainers(spec, facts, gatewayId)];
  return [
    ...renderWan(spec, facts, { clockIsBehind }),
    ...renderPolicy(spec, facts, gatewayId, { quarantined, look }),
    ...(quarantined ? [...renderQuarantine(), ...behindQuarantine(workloads)] : workloads),
  ];
}

export interface Lanes {
  /** Its result decides a trial; the others are workloads. */
  readonly net: Lane;
  readonly all: readonly Lane[];
}

export function createLanes(parts: {
  readonly system: System;
  readonly engine: Engine;
  readonly bundles: Bundles;
  readonly facts: () => Facts;
}): Lanes {
  const { system, engine, bundles } = parts;
  const { fdb, ...net } = createNetDrivers(system, { gates: () => presentGates(parts.facts()) });
  const containers = createContainerDrivers({ system, engine, bundles });
  const { 'app-image': image, ...apps } = containers;
  const netDrivers: Drivers<NetLaneItem> = net;
  const appDrivers: Drivers<AppLaneItem> = { ...apps, fdb };
  const imageDrivers: Drivers<ImageItem> = { 'app-image': image };
  const lanes = {
    net: createLane<NetLaneItem>('net', netDrivers, { ...appDrivers, ...imageDrivers }, system),
    apps: createLane<AppLaneItem>('apps', appDrivers, { ...netDrivers, ...imageDrivers }, system),
    images: createLane<ImageItem>('images', imageDrivers, { ...netDrivers, ...appDrivers }, system),
  };
  return { net: lanes.net, all: [lanes.net, lanes.apps, lanes.images] };
}
