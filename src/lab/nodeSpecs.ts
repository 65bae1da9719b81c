/**
 * Owns what each role of node runs and which files it has before its first start. Pure.
 * Does not own factory identities and the controller's configuration (controllerNode.ts).
 */
import { isIPv4 } from 'node:net';
import { splitCidr } from '../model/addresses.ts';
import { CONTROLLER_NAME, controllerAddress, MANUFACTURER_NAME } from './controllerNode.ts';
import { noSuchNode } from './enter.ts';
import type { NodeSpec } from './nodes.ts';
import { renderDnsmasq, renderNat } from './provider.ts';
import { isGateway, networkOfUplink, type Topology, type TopologyNode } from './topology.ts';
import { machineSpec } from './vm/machineSpec.ts';

const SUPERVISOR = ['/usr/lib/branchbox/node', '/usr/lib/branchbox/lab/supervisor.mjs'];
/** A host of the lab does nothing until somebody runs something in it. */
const IDLE = ['sleep', 'infinity'];

export function providerSpecs(topology: Topology): NodeSpec[] {
  return topology.providers.map((provider) => {
    const nat = renderNat(provider);
    return {
      name: provider.name,
      role: 'provider',
      command: ['dnsmasq', '--keep-in-foreground', '--conf-file=/etc/branchbox-lab/dnsmasq.conf'],
      files: {
        ...baseFiles(topology, provider.name, []),
        '/etc/branchbox-lab/dnsmasq.conf': renderDnsmasq(topology, provider),
        ...(nat === '' ? {} : { '/etc/branchbox-lab/provider.nft': nat }),
      },
    };
  });
}

export function nodeSpec(topology: Topology, node: TopologyNode): NodeSpec {
  const resolvers = node.uplinks
    .filter(({ address, address6 }) => (address ?? address6) !== undefined)
    .map((uplink) => networkOfUplink(topology, uplink).network)
    .flatMap(({ router, router6 }) => router ?? router6 ?? [])
    .map((router) => splitCidr(router).address);
  return {
    name: node.name,
    role: node.role,
    command: commandOf(node),
    files: baseFiles(topology, node.name, isGateway(node) ? undefined : resolvers),
    machine: machineSpec(topology, node),
  };
}

/** Refuses a name that the topology does not have. */
export function specOf(topology: Topology, name: string): NodeSpec {
  const specs = [...providerSpecs(topology), ...topology.nodes.map((node) => nodeSpec(topology, node))];
  const found = specs.find((each) => each.name === name);
  if (found !== undefined) return found;
  throw noSuchNode(
    name,
    specs.map((each) => each.name),
  );
}

function commandOf(node: TopologyNode): readonly string[] {
  if (isGateway(node)) return [...SUPERVISOR, 'branchbox-gateway.target'];
  return node.role === 'controller' ? [...SUPERVISOR, 'branchbox-controller.target'] : IDLE;
}

/** `resolvers`: undefined for a gateway, whose agent writes them as its uplinks tell it (node-init.sh). */
function baseFiles(
  topology: Topology,
  name: string,
  resolvers: readonly string[] | undefined,
): Record<string, string> {
  const address = controllerAddress(topology);
  const controller = isIPv4(address) ? `${address} ${CONTROLLER_NAME} ${MANUFACTURER_NAME}\n` : '';
  return {
    '/etc/hostname': `${name}\n`,
    '/etc/hosts': `127.0.0.1 localhost\n127.0.1.1 ${name}\n::1 localhost\n${controller}`,
    ...(resolvers && {
      '/etc/resolv.conf': resolvers.map((address) => `nameserver ${address}\n`).join(''),
    }),
  };
}
