/**
 * Owns which links a topology has and how each namespace is set up: veth pairs, bridges, addresses, routes, as
 * lines for `ip -batch`. Pure. Does not own the provider's services (provider.ts) nor running anything.
 */
import { networkOf, splitCidr } from '../model/addresses.ts';
import { macOf } from '../model/ids.ts';
import { ipv6NetworkOf } from '../model/prefixes.ts';
import { SPARE_NODE } from './paths.ts';
import { portsOf } from './nodePorts.ts';
import { isGateway, networkOfUplink, type Topology, type TopologyNode } from './topology.ts';

export interface CableEnd {
  readonly node: string;
  readonly ifname: string;
  readonly mac: string;
  /** Lines for `ip -batch` in the node's namespace, after the cable is there. */
  readonly setUp: readonly string[];
}

/** One veth pair. For an uplink `b` is the provider's end: there it can be cut. */
export interface Cable {
  readonly kind: 'uplink' | 'lan' | 'unplugged' | 'transit';
  readonly a: CableEnd;
  readonly b: CableEnd;
  /** Of `a`, for an uplink. */
  readonly uplink?: string;
}

export interface Wiring {
  /** Every namespace, providers first. */
  readonly nodes: readonly string[];
  readonly cables: readonly Cable[];
  /** Lines for a namespace before its cables: a provider's bridges and router addresses, a machine's taps. */
  readonly before: ReadonlyMap<string, readonly string[]>;
  /** Namespaces that only hand frames on to a machine, and must say nothing of their own. */
  readonly silent: readonly string[];
}

export function planWiring(topology: Topology): Wiring {
  const before = new Map<string, readonly string[]>();
  for (const provider of topology.providers) {
    const lines = provider.networks.flatMap(({ name, router, router6 }) => [
      `link add name ${name} type bridge stp_state 0 mcast_snooping 0`,
      ...(router === undefined ? [] : [`address add ${router} dev ${name}`]),
      `link set dev ${name} up`,
      ...addressLines6(router6, name),
    ]);
    before.set(provider.name, lines);
  }
  const machines = topology.nodes.filter(({ machine }) => machine === 'vm');
  for (const node of machines) before.set(node.name, portsOf(node).flatMap(tapLines));
  const cables = [...transitCables(topology), ...uplinkCables(topology), ...lanCables(topology)];
  const nodes = [...topology.providers, ...topology.nodes].map(({ name }) => name);
  return { nodes: [...nodes, SPARE_NODE], cables, before, silent: machines.map(({ name }) => name) };
}

/** What the namespace of a machine has for each of its ports, beside the cable's end. */
export const tapOf = (port: string): string => `t-${port.slice(0, 13)}`;
const bridgeOf = (port: string): string => `b-${port.slice(0, 13)}`;

/** As large as a bridge takes: what a frame may be is the business of both its ends. */
const MACHINE_MTU = 9000;

function tapLines(port: string): string[] {
  return [
    // A piece of cable: it forgets who is where, and hands on what bridges keep to themselves (LLDP, LACP, 802.1X).
    `link add name ${bridgeOf(port)} mtu ${MACHINE_MTU} type bridge stp_state 0 mcast_snooping 0 forward_delay 0 ageing_time 0 group_fwd_mask 65528`,
    `link set dev ${bridgeOf(port)} up`,
    `tuntap add dev ${tapOf(port)} mode tap`,
    `link set dev ${tapOf(port)} mtu ${MACHINE_MTU} master ${bridgeOf(port)} up`,
  ];
}

/** A cable's end at a port of a gateway: the port itself, or of a machine what leads to its NIC, which has that address. */
function gatewayEnd(node: TopologyNode, port: string, setUp: readonly string[]): CableEnd {
  if (node.machine === 'namespace') {
    return { node: node.name, ifname: port, mac: macOf(`${node.name}.${port}`), setUp };
  }
  return {
    node: node.name,
    ifname: port,
    mac: macOf(`${node.name}.${port}.cable`),
    setUp: [`link set dev ${port} mtu ${MACHINE_MTU} master ${bridgeOf(port)} up`],
  };
}

/** After its link is up, else the kernel makes no route with it; used at once, since nobody else has it. */
const addressLines6 = (cidr: string | undefined, ifname: string): string[] =>
  cidr === undefined ? [] : [`address add ${cidr} dev ${ifname} nodad`];

function transitCables(topology: Topology): Cable[] {
  return topology.transits.map(({ a, b }, i) => {
    const ifname = `transit${i + 1}`;
    const end = (near: typeof a, far: typeof a): CableEnd => ({
      node: near.provider,
      ifname,
      mac: macOf(`${near.provider}.${ifname}`),
      setUp: [
        `address add ${near.address} dev ${ifname}`,
        `link set dev ${ifname} up`,
        // A network behind NAT is nobody else's business.
        ...networksOf(topology, far.provider).map(
          (network) => `route add ${network} via ${splitCidr(far.address).address}`,
        ),
        ...addressLines6(near.address6, ifname),
        ...(far.address6 === undefined ? [] : networks6Of(topology, far.provider)).map(
          (network) => `route add ${network} via ${splitCidr(far.address6 ?? '').address}`,
        ),
      ],
    });
    return { kind: 'transit', a: end(a, b), b: end(b, a) };
  });
}

function networksOf(topology: Topology, provider: string): string[] {
  const networks = topology.providers.find(({ name }) => name === provider)?.networks ?? [];
  return networks.flatMap(({ nat, router }) =>
    nat !== undefined || router === undefined ? [] : [networkOf(router)],
  );
}

function networks6Of(topology: Topology, provider: string): string[] {
  const networks = topology.providers.find(({ name }) => name === provider)?.networks ?? [];
  return networks.flatMap(({ router6 }) => (router6 === undefined ? [] : [ipv6NetworkOf(router6)]));
}

function uplinkCables(topology: Topology): Cable[] {
  let count = 0;
  return topology.nodes.flatMap((node) =>
    node.uplinks.map((uplink): Cable => {
      const { provider, network } = networkOfUplink(topology, uplink);
      // A gateway's ports are down until somebody on the box wants them, as on hardware.
      const staticSetUp = [
        ...staticLines(uplink.address, network.router, uplink.port),
        ...staticLines(uplink.address6, network.router6, uplink.port),
      ];
      count += 1;
      // Numbered, since `internet-host.internet` does not fit in a name of 15 characters; the alias says whose.
      const port = `port${count}`;
      return {
        kind: 'uplink',
        uplink: uplink.name,
        a: gatewayEnd(node, uplink.port, staticSetUp),
        b: {
          node: provider,
          ifname: port,
          mac: macOf(`${provider}.${port}`),
          setUp: [
            `link set dev ${port} alias ${node.name}/${uplink.name}`,
            `link set dev ${port} master ${network.name}`,
            `link set dev ${port} up`,
          ],
        },
      };
    }),
  );
}

function staticLines(address: string | undefined, router: string | undefined, port: string): string[] {
  if (address === undefined || router === undefined) return [];
  const { address: gateway, prefixLength } = splitCidr(router);
  const isIpv6 = address.includes(':');
  return [
    `link set dev ${port} up`,
    `address add ${address}/${prefixLength} dev ${port}${isIpv6 ? ' nodad' : ''}`,
    `route add ${isIpv6 ? '::/0' : 'default'} via ${gateway}`,
  ];
}

function lanCables(topology: Topology): Cable[] {
  let spares = 0;
  return topology.nodes.filter(isGateway).flatMap((gateway) =>
    gateway.lan.map((label): Cable => {
      const host = topology.nodes.find(
        ({ lanOf }) => lanOf?.gateway === gateway.name && lanOf.port === label,
      );
      const a = gatewayEnd(gateway, label, []);
      if (host?.lanOf === undefined) {
        spares += 1;
        // Numbered as the ports of a provider are, and for the same reason.
        const ifname = `spare${spares}`;
        const setUp = [`link set dev ${ifname} alias ${gateway.name}/${label}`];
        return {
          kind: 'unplugged',
          a,
          b: { node: SPARE_NODE, ifname, mac: macOf(`${SPARE_NODE}.${gateway.name}.${label}`), setUp },
        };
      }
      const setUp = [
        `link set dev eth0 mtu ${topology.tenantMtu}`,
        `address add ${host.lanOf.address} dev eth0`,
        'link set dev eth0 up',
      ];
      return {
        kind: 'lan',
        a,
        b: { node: host.name, ifname: 'eth0', mac: macOf(`${host.name}.eth0`), setUp },
      };
    }),
  );
}

/** The provider and its port where an uplink of a node can be cut, and the port of the node at the other end. */
export interface UplinkEnds {
  readonly provider: string;
  readonly port: string;
  readonly nodePort: string;
}

export function uplinkEndsOf(wiring: Wiring, node: string, uplink: string): UplinkEnds | undefined {
  const cable = wiring.cables.find(
    (each) => each.kind === 'uplink' && each.a.node === node && each.uplink === uplink,
  );
  return cable && { provider: cable.b.node, port: cable.b.ifname, nodePort: cable.a.ifname };
}

/** The names of each node's uplinks. */
export function uplinksOf(wiring: Wiring): ReadonlyMap<string, readonly string[]> {
  const found = new Map<string, string[]>();
  for (const { kind, a, uplink } of wiring.cables) {
    if (kind === 'uplink' && uplink !== undefined) found.set(a.node, [...(found.get(a.node) ?? []), uplink]);
  }
  return found;
}
