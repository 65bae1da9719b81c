/**
 * Owns what is told of the line that a bootstrap medium described where the box does not come out by it: whoever stands there with
 * the wrong stick, or at the wrong port, sees it nowhere else. Neither users nor passwords: anybody at a LAN port may read it. Pure.
 * Does not own the line itself (wan/factory.ts, for the agent).
 */
import type { BootstrapNetwork } from '../model/medium.ts';

export function mediumLineNotices(
  network: BootstrapNetwork | undefined,
  box: {
    /** No WAN port has an address. */
    readonly isOffline: boolean;
    /** Labels; empty while nobody says. */
    readonly wanPorts: readonly string[];
  },
): readonly string[] {
  if (network === undefined) return [];
  const { port } = network;
  const { wanPorts, isOffline } = box;
  if (port !== undefined && wanPorts.length > 0 && !wanPorts.includes(port)) {
    return [
      `The USB medium describes the line of port ${port}, and this box has no such WAN port (it has ${wanPorts.join(', ')}), so that line is not used: have another medium made (branchbox fleet usb, --port) and plug it in`,
    ];
  }
  const line = lineOf(network);
  if (!isOffline || line === '') return [];
  const isModem = network.addressing.kind === 'modem';
  const where = port === undefined ? (isModem ? 'the first modem' : 'the first WAN port') : `port ${port}`;
  const look = isModem ? 'SIM and antenna' : 'that the cable is in that port';
  return [
    `The USB medium describes the line of ${where}: ${line}. There is no address yet: where that lasts, check ${look}; else have another medium made (branchbox fleet usb) and plug it in`,
  ];
}

/** Empty where it asks for nothing that DHCP would not give. */
function lineOf({ addressing, vlan }: BootstrapNetwork): string {
  const words = vlan === undefined ? [] : [`VLAN ${vlan}`];
  switch (addressing.kind) {
    case 'dhcp':
      break;
    case 'static':
      words.push(`the address ${addressing.address}`);
      break;
    case 'pppoe':
      words.push('PPPoE, of which the user or the password may be wrong');
      break;
    case 'modem':
      words.push(addressing.apn === undefined ? 'no APN' : `the APN ${addressing.apn}`);
      break;
    default:
      addressing satisfies never;
  }
  return words.join(', ');
}
