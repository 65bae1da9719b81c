/**
 * Owns which links a topology has and how each namespace is set up: veth pairs, bridges, addresses, routes, as
 * lines for `ip -batch`. Pure. Does not own the provider's services (provider.ts) nor running anything.
 */
import { networkOf, splitCidr } from '../model/addresses.ts';
import { macOf } from '../model/ids.ts';
import { SPARE_NODE } from './paths.ts';
import { isGateway, networkOfUplink, type Topology } from './topology.ts';

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
  /** Lines for each provider's namespace before its cables: bridges and router addresses. */
  readonly before: ReadonlyMap<string, readonly string[]>;
}

export function planWiring(topology: Topology): Wiring {
  const before = new Map<string, readonly string[]>();
  for (const provider of topology.providers) {
    const lines = provider.networks.flatMap(({ name, router }) => [
      `link add name ${name} type bridge stp_state 0 mcast_snooping 0`,
      `address add ${router} dev ${name}`,
      `link set dev ${name} up`,
    ]);
    before.set(provider.name, lines);
  }
  const cables = [...transitCables(topology), ...uplinkCables(topology), ...lanCables(topology)];
  const nodes = [...topology.providers, ...topology.nodes].map(({ name }) => name);
  return { nodes: [...nodes, SPARE_NODE], cables, before };
}

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
      ],
    });
    return { kind: 'transit', a: end(a, b), b: end(b, a) };
  });
}

function networksOf(topology: Topology, provider: string): string[] {
  const networks = topology.providers.find(({ name }) => name === provider)?.networks ?? [];
  return networks.filter(({ nat }) => nat === undefined).map(({ router }) => networkOf(router));
}

function uplinkCables(topology: Topology): Cable[] {
  let count = 0;
  return topology.nodes.flatMap((node) =>
    node.uplinks.map((uplink): Cable => {
      const { provider, network } = networkOfUplink(topology, uplink);
      const { address: router, prefixLength } = splitCidr(network.router);
      // A gateway's ports are down until somebody on the box wants them, as on hardware.
      const staticSetUp =
        uplink.address === undefined
          ? []
          : [
              `address add ${uplink.address}/${prefixLength} dev ${uplink.port}`,
              `link set dev ${uplink.port} up`,
              `route add default via ${router}`,
            ];
      count += 1;
      // Numbered, since `internet-host.internet` does not fit in a name of 15 characters; the alias says whose.
      const port = `port${count}`;
      return {
        kind: 'uplink',
        uplink: uplink.name,
        a: {
          node: node.name,
          ifname: uplink.port,
          mac: macOf(`${node.name}.${uplink.port}`),
          setUp: staticSetUp,
        },
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

function lanCables(topology: Topology): Cable[] {
  return topology.nodes.filter(isGateway).flatMap((gateway) =>
    gateway.lan.map((label, i): Cable => {
      const host = topology.nodes.find(
        ({ lanOf }) => lanOf?.gateway === gateway.name && lanOf.port === label,
      );
      const a: CableEnd = {
        node: gateway.name,
        ifname: label,
        mac: macOf(`${gateway.name}.${label}`),
        setUp: [],
      };
      if (host?.lanOf === undefined) {
        const ifname = `${gateway.name.slice(0, 10)}-${i + 1}`;
        return {
          kind: 'unplugged',
          a,
          b: { node: SPARE_NODE, ifname, mac: macOf(`${SPARE_NODE}.${gateway.name}.${label}`), setUp: [] },
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

/** The provider and its port where an uplink of a node can be cut. */
export function providerPortOf(
  wiring: Wiring,
  node: string,
  uplink: string,
): { readonly provider: string; readonly port: string } | undefined {
  const cable = wiring.cables.find(
    (each) => each.kind === 'uplink' && each.a.node === node && each.uplink === uplink,
  );
  return cable && { provider: cable.b.node, port: cable.b.ifname };
}
