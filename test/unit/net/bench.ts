/**
 * Owns the bench that a scenario of the network drivers runs on, a fake box or a real kernel, and the pieces that
 * scenarios share. Does not own any scenario.
 */
import { expect } from 'vitest';
import { linkItem } from '../../../src/model/ids.ts';
import { link } from '../../../src/net/itemIds.ts';
import type { FrrLineItem, NetItem } from '../../../src/net/items.ts';
import type { Plan } from '../../../src/reconcile/item.ts';
import type { Report } from '../../../src/reconcile/reconciler.ts';

/** FRR has tests of its own. */
export type BoxItem = Exclude<NetItem, FrrLineItem>;

export interface Bench {
  /** A new process each time: nothing is remembered. */
  converge(desired: readonly BoxItem[]): Promise<Report<BoxItem>>;
  plan(desired: readonly BoxItem[]): Promise<Plan<BoxItem>>;
  observe(): Promise<readonly BoxItem[]>;
  /** Somebody else on the box. */
  outside(command: string, ...args: string[]): Promise<void>;
  print(): Promise<string>;
  readFile(path: string): Promise<string | undefined>;
  /** A file with a WireGuard private key, and the public key that belongs to it. */
  wireguardKey(): Promise<{ readonly file: string; readonly publicKey: string }>;
  /** wireguard-go of a link ends, and is started again as its unit says. */
  killWireguard(name: string): Promise<void>;
}

export interface Scenario {
  readonly name: string;
  run(bench: Bench): Promise<void>;
}

export const bridge = (vni: number, extra: { mtu?: number; macAddress?: string } = {}) =>
  link({ type: 'bridge', name: `br-${vni}`, mtu: 1390, ...extra });
export const vxlan = (vni: number, bridgeVni = vni, extra: { mtu?: number } = {}) =>
  link(
    {
      type: 'vxlan',
      name: `vx-${bridgeVni}`,
      vni,
      localAddress: '10.255.0.11',
      mtu: 1390,
      ...extra,
      bridge: `br-${bridgeVni}`,
    },
    [linkItem(`br-${bridgeVni}`)],
  );
export const port = (name: string, vni?: number) =>
  link(
    { type: 'port', name, mtu: 1390, ...(vni === undefined ? {} : { bridge: `br-${vni}` }) },
    vni === undefined ? [] : [linkItem(`br-${vni}`)],
  );

export async function addPort(bench: Bench, name: string): Promise<void> {
  await bench.outside('ip', 'link', 'add', 'name', name, 'type', 'veth', 'peer', 'name', `far-${name}`);
}

/** Converges, and is then content: the plan is empty, and so is a second look. */
export async function settle(bench: Bench, desired: readonly BoxItem[]): Promise<void> {
  const report = await bench.converge(desired);
  expect([...report.failures.values()].map((error) => error.message)).toEqual([]);
  expect((await bench.plan(desired)).steps).toEqual([]);
}

export const lines = (text: string): string[] => text.trim().split('\n');
