/**
 * Owns what a box holds before it has any desired state, so that bootstrap can try every way out: each WAN port, by
 * DHCP and by what its router advertises, with a table of its own; and each modem, without an APN, so that its SIM's
 * provider chooses. Slots follow the order of the ports in the hardware model. Where a bootstrap medium said more of a
 * port (model/medium), that counts.
 */
import type { Uplink } from '../model/desired.ts';
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import type { NetItem } from '../net/items.ts';
import { renderUplinks, type UplinkAttachment } from './uplinks.ts';

/** fwmarks and tables leave room for 15 slots. */
const MAX_UPLINKS = 15;

export function renderFactory(facts: Facts, network?: BootstrapNetwork): NetItem[] {
  return renderUplinks(planFactoryUplinks(facts, network), facts);
}

/** The WAN port that a bootstrap medium speaks of. Pure. */
export const mediumPort = (
  { ports }: Pick<Facts, 'ports'>,
  network: BootstrapNetwork | undefined,
): string | undefined =>
  network?.port ??
  ports.find(
    ({ role, modem }) => role === 'wan' && (modem === true) === (network?.addressing.kind === 'modem'),
  )?.label;

/** Pure. */
export function planFactoryUplinks(
  facts: Pick<Facts, 'ports'>,
  network: BootstrapNetwork | undefined,
): readonly UplinkAttachment[] {
  const ports = facts.ports.filter((port) => port.role === 'wan').slice(0, MAX_UPLINKS);
  const named = mediumPort(facts, network);
  return ports.map(({ label, modem }, index) => ({
    port: label,
    slot: index + 1,
    metered: modem === true,
    // Where there is no IPv4 a box must enrol all the same.
    ...(modem === true
      ? ({ addressing: { kind: 'modem' } } as const)
      : ({ addressing6: { kind: 'auto' }, mayLackIpv6: true, addressing: { kind: 'dhcp' } } as const)),
    ...(network === undefined || label !== named ? {} : attachmentOf(network)),
  }));
}

function attachmentOf({
  addressing,
  addressing6,
  vlan,
}: BootstrapNetwork): Pick<Uplink, 'addressing'> & Partial<Pick<UplinkAttachment, 'vlan' | 'addressing6'>> {
  // What is rendered from here on knows no password; and IPv6 is not asked for in a session (firmware/pppd.conf).
  if (addressing.kind === 'pppoe') return { vlan, addressing: { kind: 'pppoe' }, addressing6: undefined };
  if (addressing.kind === 'modem') return { addressing: { kind: 'modem' }, addressing6: undefined };
  return { vlan, addressing, ...(addressing6 !== undefined && { addressing6 }) };
}
