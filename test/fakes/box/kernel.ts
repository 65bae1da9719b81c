/**
 * Owns the network state of the fake box, and what the kernel makes of a change: what it refuses, and what goes along
 * with what. Complaints are worded as `ip` words them; test/lab/netDrivers holds them against a real kernel.
 */
import { contains } from '../../../src/model/addresses.ts';

/** A change that was refused, in the words of the tool. */
export class Refusal extends Error {}
/** `ip` gives up the batch: a word it cannot make sense of. */
export class GivenUp extends Error {}

export interface FakeLink {
  readonly name: string;
  readonly kind: 'bridge' | 'vxlan' | 'wireguard' | 'tun' | 'veth' | 'loopback';
  mtu: number;
  up: boolean;
  mac: string;
  macSet: boolean;
  alias: string | undefined;
  group: number;
  master: string | undefined;
  bridge: { stp_state: number; forward_delay: number; mcast_snooping: number };
  readonly vxlan: { id: number; local: string; port: number; learning: boolean } | undefined;
  port: { learning: boolean; neigh_suppress: boolean };
}
export interface FakeAddress {
  readonly link: string;
  readonly address: string;
  readonly protocol: number | undefined;
}
export interface FakeRoute {
  readonly type: 'unicast' | 'unreachable';
  readonly table: number;
  readonly dst: string;
  readonly metric: number;
  readonly protocol: number;
  readonly via: string | undefined;
  readonly dev: string | undefined;
  readonly src: string | undefined;
  readonly onlink: boolean;
}
export interface FakeRule {
  readonly family: '-4' | '-6';
  readonly preference: number;
  readonly from: string | undefined;
  readonly to: string | undefined;
  readonly mark: number | undefined;
  readonly table: number | undefined;
  readonly protocol: number;
}
export interface FakeFdb {
  readonly mac: string;
  readonly link: string;
  readonly master: string;
  readonly externLearn: boolean;
}

export interface FakeKernel {
  readonly links: Map<string, FakeLink>;
  addresses: FakeAddress[];
  routes: FakeRoute[];
  rules: FakeRule[];
  fdb: FakeFdb[];
  /** Kinds of link that this kernel can make. */
  readonly kinds: ReadonlySet<string>;
  link(name: string): FakeLink;
  addLink(link: Pick<FakeLink, 'name' | 'kind'> & Partial<FakeLink>): FakeLink;
  enslave(link: FakeLink, master: string | undefined): void;
  removeLink(name: string): void;
  addAddress(address: FakeAddress): void;
  removeAddress(link: string, address: string): void;
  addRoute(route: FakeRoute, replace: boolean): void;
  removeRoute(route: FakeRoute): void;
}

export function createFakeKernel(kinds: readonly string[]): FakeKernel {
  let count = 0;
  const host = (cidr: string): string => cidr.split('/')[0] ?? cidr;
  const kernel: FakeKernel = {
    links: new Map(),
    addresses: [],
    routes: [],
    rules: [],
    fdb: [],
    kinds: new Set(kinds),

    link(name) {
      const link = kernel.links.get(name);
      if (link === undefined) throw new Refusal(`Cannot find device "${name}"`);
      return link;
    },

    addLink(wanted) {
      if (kernel.links.has(wanted.name)) throw new Refusal('RTNETLINK answers: File exists');
      if (!kernel.kinds.has(wanted.kind)) throw new Refusal('Error: Unknown device type.');
      const { vxlan } = wanted;
      if (vxlan !== undefined && [...kernel.links.values()].some((other) => other.vxlan?.id === vxlan.id)) {
        throw new Refusal('Error: A VXLAN device with the specified VNI already exists.');
      }
      count += 1;
      const link: FakeLink = {
        mtu: 1500,
        up: false,
        mac: `9a:00:00:00:00:${count.toString(16).padStart(2, '0')}`,
        macSet: false,
        alias: undefined,
        group: 0,
        master: undefined,
        bridge: { stp_state: 0, forward_delay: 1500, mcast_snooping: 1 },
        vxlan: undefined,
        port: { learning: true, neigh_suppress: false },
        ...wanted,
      };
      kernel.links.set(link.name, link);
      return link;
    },

    enslave(link, master) {
      if (link.master === master) return;
      const left = link.master;
      link.master = master;
      link.port = { learning: true, neigh_suppress: false };
      kernel.fdb = kernel.fdb.filter((entry) => entry.link !== link.name);
      for (const name of [left, master]) inheritMac(kernel, name);
    },

    removeLink(name) {
      const { master } = kernel.link(name);
      kernel.links.delete(name);
      for (const other of kernel.links.values()) if (other.master === name) other.master = undefined;
      inheritMac(kernel, master);
      kernel.addresses = kernel.addresses.filter((address) => address.link !== name);
      kernel.routes = kernel.routes.filter((route) => route.dev !== name);
      kernel.fdb = kernel.fdb.filter((entry) => entry.link !== name && entry.master !== name);
    },

    addAddress(wanted) {
      kernel.link(wanted.link);
      if (kernel.addresses.some((a) => a.link === wanted.link && a.address === wanted.address)) {
        throw new Refusal('Error: ipv4: Address already assigned.');
      }
      kernel.addresses.push(wanted);
    },

    removeAddress(link, address) {
      kernel.link(link);
      const rest = kernel.addresses.filter((a) => a.link !== link || a.address !== address);
      if (rest.length === kernel.addresses.length) throw new Refusal('Error: ipv4: Address not found.');
      kernel.addresses = rest;
      if (address.includes(':')) {
        // IPv6 keeps the route and forgets its source (rt6_remove_prefsrc).
        kernel.routes = kernel.routes.map((route) =>
          route.src === host(address) ? { ...route, src: undefined } : route,
        );
        return;
      }
      const left = rest.some((a) => a.link === link && !a.address.includes(':'));
      kernel.routes = kernel.routes.filter(
        (route) => route.src !== host(address) && (left || route.dev !== link),
      );
    },

    addRoute(wanted, replace) {
      const { dev, via, src } = wanted;
      if (dev !== undefined && !kernel.link(dev).up)
        throw new Refusal('Error: Device for nexthop is not up.');
      const own = kernel.addresses.filter((address) => address.link === dev);
      // Of the link itself: IPv6's routers are named so (RFC 4861 6.1.2).
      const near =
        via !== undefined &&
        (wanted.onlink || via.startsWith('fe80:') || own.some((a) => contains(a.address, via)));
      const direct = kernel.routes.some((r) => r.dev === dev && r.via === undefined && r.dst === `${via}/32`);
      if (via !== undefined && !near && !direct) throw new Refusal('Error: Nexthop has invalid gateway.');
      if (src !== undefined && !kernel.addresses.some((a) => host(a.address) === src)) {
        throw new Refusal('Error: Invalid prefsrc address.');
      }
      const at = kernel.routes.findIndex((route) => sameKey(route, wanted));
      if (at >= 0 && !replace) throw new Refusal('RTNETLINK answers: File exists');
      if (at >= 0) kernel.routes[at] = wanted;
      else kernel.routes.push(wanted);
    },

    removeRoute(wanted) {
      if (wanted.dev !== undefined) kernel.link(wanted.dev);
      const at = kernel.routes.findIndex(
        (route) =>
          sameKey(route, wanted) &&
          route.protocol === wanted.protocol &&
          route.type === wanted.type &&
          route.via === wanted.via &&
          (wanted.dev === undefined || route.dev === wanted.dev),
      );
      if (at < 0) throw new Refusal('RTNETLINK answers: No such process');
      kernel.routes.splice(at, 1);
    },
  };
  return kernel;
}

const sameKey = (a: FakeRoute, b: FakeRoute): boolean =>
  a.table === b.table && a.dst === b.dst && a.metric === b.metric;

/** A bridge that was given no address takes the lowest of its ports. */
function inheritMac(kernel: FakeKernel, name: string | undefined): void {
  const bridge = kernel.links.get(name ?? '');
  if (bridge === undefined || bridge.kind !== 'bridge' || bridge.macSet) return;
  const macs = [...kernel.links.values()].filter((link) => link.master === name).map((link) => link.mac);
  bridge.mac = macs.toSorted()[0] ?? '00:00:00:00:00:00';
}
