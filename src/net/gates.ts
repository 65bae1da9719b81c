/**
 * Owns which gates (things that belong to others and that our items wait for) are there according to the facts, and a
 * sentence for each that is not. Does not gather facts.
 */
import type { Facts } from '../model/facts.ts';
import { itemId } from '../model/ids.ts';
import { external, portGate, programGate } from './itemIds.ts';
import type { ExternalItem } from './items.ts';

/** Observed externals: a port that is plugged into the machine, a feature of its kernel. */
export function presentGates(facts: Facts): ExternalItem[] {
  const gates: ExternalItem[] = [];
  for (const port of facts.ports) {
    if (port.ifname !== undefined) {
      gates.push(external(portGate(port.label), `port ${port.label} is there, as ${port.ifname}`));
    }
  }
  for (const [feature, present] of Object.entries(facts.kernel.features)) {
    if (present) gates.push(external(itemId('external', 'kernel', feature), `this kernel has ${feature}`));
  }
  if (facts.ssh !== undefined) gates.push(external(programGate('sshd'), 'an SSH server is installed'));
  return gates;
}

/** Why an item waits, for `explain` and the condition item-blocked; undefined where the id is not a gate. */
export function missingGateSentence(id: string): string | undefined {
  if (id === 'external:engine') {
    return 'No container engine answers at /run/docker.sock. It is started where a box has apps; `systemctl status docker.service` says how far it is.';
  }
  const [, kind, name] = /^external:([a-z0-9]+)\/(.+)$/.exec(id) ?? [];
  if (name === undefined) return undefined;
  switch (kind) {
    case 'port':
      return `No interface of this box is port ${name}: the hardware model names none, or the card is missing.`;
    case 'lease':
      return `${name} has no DHCP lease with a gateway: check its cable and the provider's DHCP.`;
    case 'lease6':
      return `${name} has no IPv6 address with a router: check its cable and what the provider's router advertises.`;
    case 'clock':
      return 'The clock of this box is behind a time that its tunnels have used before, which peers refuse: `branchbox status` (clock-behind) says what is waited for.';
    case 'pppoe':
      return `${name} has no PPPoE session: check its cable, VLAN, and the user and password of its bootstrap medium; \`journalctl -u pppoe@${name}\` says what the provider answered.`;
    case 'modem':
      return `${name} is a modem without a connection: \`branchbox status\` (modems) says what it waits for.`;
    case 'program':
      return `This box has no SSH server (/usr/sbin/${name}): the image brings it; on a Debian of one's own, \`apt install openssh-server\`.`;
    case 'kernel':
      return `This kernel lacks ${name}; \`branchbox check\` lists what needs it.`;
    default:
      return undefined;
  }
}
