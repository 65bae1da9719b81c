/**
 * Owns what a topology file says: providers and their networks, nodes, uplinks, LAN hosts. Schema and reading.
 * Does not own what two parts may not both have (topologyPlaces.ts), how it becomes links (wiring.ts) or the fleet that runs on it (fleet.toml, the controller's).
 */
import { join } from 'node:path';
import { parse as parseToml } from 'smol-toml';
import { z } from 'zod';
import {
  contains,
  DnsName,
  IpAddress,
  Ipv4,
  Ipv4Interface,
  Ipv6,
  Ipv6Interface,
} from '../model/addresses.ts';
import { decode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { InterfaceName, PortLabel, UplinkName } from '../model/ids.ts';
import { prefixHolds } from '../model/prefixes.ts';
import type { Files } from '../system/ports.ts';
import { portProblems } from './nodePorts.ts';
import { checkTopologyPlaces } from './topologyPlaces.ts';

/** Short enough for a netns name and a host name; what people type after `lab exec`. */
export const NodeName = z.string().regex(/^[a-z][a-z0-9-]{0,30}$/, 'a node name such as branch1-red');
const NetworkRef = z.string().regex(/^[a-z0-9-]+\/[a-z0-9-]+$/, 'a network as provider/network');

/** Of IPv4, of IPv6, or of both. */
const Network = z
  .strictObject({
    /** Also the name of its bridge in the provider's namespace. */
    name: z.string().regex(/^[a-z][a-z0-9]{0,14}$/, 'a network name such as access'),
    router: Ipv4Interface.optional(),
    dhcp: z.strictObject({ first: Ipv4, last: Ipv4 }).optional(),
    /** The provider's public address that everybody here shares; nothing comes in unasked. */
    nat: Ipv4.optional(),
    router6: Ipv6Interface.optional(),
    /** The prefix of router6 by router advertisements; DNS and the bootstrap server by stateless DHCPv6 (RFC 8415 6.1). */
    advertise: z.boolean().default(false),
  })
  .superRefine(({ router, dhcp, nat, router6, advertise }, context) => {
    const complain = (path: string, message: string): void =>
      context.addIssue({ code: 'custom', path: [path], message });
    if (router === undefined && router6 === undefined) complain('router', 'neither it nor router6 is there');
    if (router === undefined && dhcp !== undefined) complain('dhcp', 'needs a router');
    if (router === undefined && nat !== undefined) complain('nat', 'needs a router');
    if (router6 === undefined && advertise) complain('advertise', 'needs a router6');
  });
const Provider = z.strictObject({ name: NodeName, networks: z.array(Network).min(1).max(8) });
const TransitEnd = z.strictObject({
  provider: NodeName,
  address: Ipv4Interface,
  address6: Ipv6Interface.optional(),
});

const Uplink = z.strictObject({
  name: UplinkName,
  port: InterfaceName,
  network: NetworkRef,
  /** Put on by the lab, with a default route: for nodes that run no gateway. */
  address: Ipv4.optional(),
  address6: Ipv6.optional(),
  /** By DHCP, but always this one. */
  reserved: Ipv4.optional(),
});

/** A gateway's hardware where it is a virtual machine; its image has all the software. */
const MachineHardware = z.strictObject({
  memoryMiB: z.int().min(1024).max(65_536).default(2048),
  cpus: z.int().min(1).max(32).default(2),
  tpm: z.boolean().default(true),
});
const Node = z.strictObject({
  name: NodeName,
  role: z.enum(['controller', 'hub', 'branch', 'host']),
  /** Namespaces of this host with the lab's tree, or a virtual machine that boots the image (gateways alone). */
  machine: z.enum(['namespace', 'vm']).default('namespace'),
  hardware: MachineHardware.prefault({}),
  uplinks: z.array(Uplink).max(8).default([]),
  /** LAN ports of a gateway; one without a host on it has no cable in. */
  lan: z.array(PortLabel).max(32).default([]),
  lanOf: z.strictObject({ gateway: NodeName, port: PortLabel, address: Ipv4Interface }).optional(),
});

export const Topology = z
  .strictObject({
    description: z.string().max(200),
    providers: z.array(Provider).min(1).max(16),
    transits: z.array(z.strictObject({ a: TransitEnd, b: TransitEnd })).default([]),
    /** Answered by every provider's resolver. */
    dns: z.record(DnsName, z.union([IpAddress, z.array(IpAddress).min(1).max(4)])).default({}),
    dhcp: z.strictObject({
      leaseSeconds: z.int().min(60).max(86_400),
      /** Option 143, of DHCPv6 136 (RFC 8572 section 8). */
      bootstrapServers: z.array(z.string().max(255)).max(8),
      /** Option 42. */
      timeServers: z.array(Ipv4).max(4).default([]),
    }),
    /** What a segment carries over every uplink of the fleet; LAN hosts use it. */
    tenantMtu: z.int().min(576).max(9000).default(1390),
    nodes: z.array(Node).min(1).max(200),
  })
  .superRefine((topology, context) => {
    const complain = (path: (string | number)[], message: string): void =>
      context.addIssue({ code: 'custom', path, message });
    checkTopologyPlaces(topology, complain);
    topology.transits.forEach(({ a, b }, i) => {
      for (const [side, end] of Object.entries({ a, b })) {
        const known = topology.providers.some(({ name }) => name === end.provider);
        if (!known) complain(['transits', i, side, 'provider'], `no provider ${end.provider}`);
      }
    });
    topology.nodes.forEach((node, i) => {
      node.uplinks.forEach((uplink, u) => {
        const network = findNetwork(topology.providers, uplink.network);
        const at = ['nodes', i, 'uplinks', u];
        if (network === undefined) complain([...at, 'network'], `no network ${uplink.network}`);
        for (const key of ['address', 'reserved'] as const) {
          const address = uplink[key];
          if (address === undefined || network === undefined) continue;
          if (network.router !== undefined && contains(network.router, address)) continue;
          complain([...at, key], `${address} is not in ${network.router ?? 'a network of IPv4'}`);
        }
        const { address6 } = uplink;
        if (address6 !== undefined && network !== undefined && !prefixHolds(network.router6 ?? '', address6))
          complain([...at, 'address6'], `${address6} is not in ${network.router6 ?? 'a network of IPv6'}`);
      });
      if (node.machine === 'vm' && !isGateway(node))
        complain(['nodes', i, 'machine'], 'only a gateway can be a virtual machine');
      if (isGateway(node)) for (const problem of portProblems(node)) complain(['nodes', i], problem);
      if (node.lanOf === undefined) return;
      const { gateway, port } = node.lanOf;
      const there = topology.nodes.find(({ name }) => name === gateway)?.lan.includes(port) === true;
      if (!there) complain(['nodes', i, 'lanOf'], `${gateway} has no LAN port ${port}`);
    });
  });
export type Topology = z.output<typeof Topology>;
export type TopologyNode = Topology['nodes'][number];
export type TopologyUplink = TopologyNode['uplinks'][number];
export type TopologyNetwork = Topology['providers'][number]['networks'][number];
export type NodeRole = TopologyNode['role'] | 'provider';

function findNetwork(providers: Topology['providers'], ref: string): TopologyNetwork | undefined {
  const [provider, network] = ref.split('/');
  return providers.find(({ name }) => name === provider)?.networks.find(({ name }) => name === network);
}

/** The network an uplink hangs on, and whose it is. The schema has made sure that it is there. */
export function networkOfUplink(
  topology: Topology,
  uplink: TopologyUplink,
): { readonly provider: string; readonly network: TopologyNetwork } {
  const network = findNetwork(topology.providers, uplink.network);
  const provider = uplink.network.split('/')[0];
  if (network === undefined || provider === undefined) {
    throw new BranchboxError('internal', {
      message: `uplink ${uplink.name} hangs on ${uplink.network}, which is not there`,
    });
  }
  return { provider, network };
}

export const isGateway = (node: { readonly role: NodeRole }): boolean =>
  node.role === 'hub' || node.role === 'branch';

export const TOPOLOGIES_DIRECTORY = join(import.meta.dirname, 'topologies');

export async function readTopology(files: Pick<Files, 'readText' | 'list'>, name: string): Promise<Topology> {
  const known = await files.list(TOPOLOGIES_DIRECTORY);
  const path = join(TOPOLOGIES_DIRECTORY, name, 'topology.toml');
  const text = known.includes(name) ? await files.readText(path) : undefined;
  if (text === undefined) {
    throw new BranchboxError('cli/usage', {
      message: `there is no topology "${name}"`,
      mend: `one of: ${known.join(', ')}; adding one is adding a folder with a topology.toml to src/lab/topologies`,
    });
  }
  return parseTopology(text, `topology ${name}`);
}

export function parseTopology(text: string, what: string): Topology {
  let value: unknown;
  try {
    value = parseToml(text);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    throw new BranchboxError('model/invalid', { message: `${what} is not TOML: ${message}`, cause });
  }
  return decode(Topology, value, what);
}
