/**
 * Owns which hardware a virtual machine of a topology has. Pure.
 */
import { macOf } from '../../model/ids.ts';
import type { Topology, TopologyNode } from '../topology.ts';
import { portsOf } from '../nodePorts.ts';
import { tapOf } from '../wiring.ts';
import { PORT_SLOTS } from './argv.ts';
import type { MachineSpec } from './machineNodes.ts';

export function machineSpec(topology: Topology, node: TopologyNode): MachineSpec | undefined {
  if (node.machine !== 'vm') return undefined;
  const labels = portsOf(node);
  const plugged = topology.nodes.flatMap(({ lanOf }) => (lanOf?.gateway === node.name ? [lanOf.port] : []));
  return {
    name: node.name,
    ...node.hardware,
    ports: Object.entries(PORT_SLOTS)
      .filter(([label]) => labels.includes(label))
      .map(([label, slot]) => ({ label, slot, mac: macOf(`${node.name}.${label}`), tap: tapOf(label) })),
    unplugged: node.lan.filter((label) => !plugged.includes(label)),
  };
}
