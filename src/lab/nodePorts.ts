/**
 * Owns which ports a gateway of the lab can have, and the hardware model that names them. Does not own what is plugged in
 * (wiring.ts). Pure.
 */
import { PORT_SLOTS } from './vm/argv.ts';

interface Ported {
  readonly machine: 'namespace' | 'vm';
  readonly uplinks: readonly { readonly port: string }[];
  readonly lan: readonly string[];
}

/** What firmware/models/lab.toml names. */
const PLAIN = /^(wan[12]|lan[1-4])$/;
/** What firmware/models/lab-wide.toml names. */
const WIDE = /^(wan[1-8]|lan([1-9]|[12]\d|3[0-2]))$/;

export type HardwareModelName = 'lab' | 'lab-wide' | 'qemu';

/** Ports of a gateway or uplinks of a host, by the names that they have in the node. */
export const portsOf = (node: Pick<Ported, 'uplinks' | 'lan'>): readonly string[] => [
  ...node.uplinks.map(({ port }) => port),
  ...node.lan,
];

export function hardwareModelOf(node: Ported): HardwareModelName {
  if (node.machine === 'vm') return 'qemu';
  return portsOf(node).every((port) => PLAIN.test(port)) ? 'lab' : 'lab-wide';
}

/** Why the node cannot have its ports: no box would know which interface they are. */
export function portProblems(node: Ported): readonly string[] {
  const [has, isThere, what] =
    node.machine === 'vm'
      ? [
          Object.keys(PORT_SLOTS).join(', '),
          (port: string) => Object.hasOwn(PORT_SLOTS, port),
          'virtual machine',
        ]
      : ['wan1 to wan8 and lan1 to lan32', (port: string) => WIDE.test(port), 'gateway of the lab'];
  return portsOf(node).flatMap((port) =>
    isThere(port) ? [] : [`a ${what} has no port ${port}: it has ${has}`],
  );
}
