/**
 * Owns what follows from uplinks over modems: what each modem is asked for, and a bearer's address told as a lease, in
 * the place where all leases are told (system/leases). Pure.
 * Does not own dialling (modemSteps.ts) nor the address itself (net/address).
 */
import type { Facts } from '../model/facts.ts';
import type { BootstrapNetwork } from '../model/medium.ts';
import { Secret } from '../model/secret.ts';
import { type Line, portIfname } from '../model/underlay.ts';
import { MODEM_REASON } from '../system/leases.ts';
import { mediumPort } from '../wan/factory.ts';
import type { BearerSeen, ModemWish } from '../wan/modemSeen.ts';

/** The head of each file that is ours. */
export const MODEM_LEASE = `reason=${MODEM_REASON}\n`;

/** The desired state's words; what it leaves out, the box's bootstrap medium may have said of the same port. */
export function planModemWishes(
  uplinks: readonly Line[],
  network: BootstrapNetwork | undefined,
  facts: Pick<Facts, 'ports'>,
): readonly ModemWish[] {
  const medium = network?.addressing.kind === 'modem' ? network.addressing : undefined;
  const named = mediumPort(facts, network);
  return uplinks.flatMap(({ port, addressing }) => {
    if (addressing.kind !== 'modem') return [];
    const said = { ...(port === named && medium), ...addressing };
    const there = facts.ports.some((one) => one.label === port && one.ifname !== undefined);
    const secret = (word: string | undefined) => (word === undefined ? undefined : new Secret(word));
    return [
      {
        port,
        ifname: there ? portIfname(port, facts) : undefined,
        apn: said.apn,
        user: said.user,
        password: secret(said.password),
        pin: secret(said.pin),
      },
    ];
  });
}

/** undefined where the bearer's address is not told but asked for by DHCP. */
export function renderModemLease(ifname: string, { ipv4 }: BearerSeen): string | undefined {
  if (ipv4?.by !== 'static') return undefined;
  // Nobody else is on the link, so the address stands alone; the link is the way out, whatever gateway the network names.
  return [
    `${MODEM_LEASE}interface=${ifname}`,
    `new_ip_address=${ipv4.address}`,
    'new_subnet_cidr=32',
    `new_routers=${ipv4.gateway ?? ipv4.address}`,
    `new_domain_name_servers=${ipv4.dns.join(' ')}`,
    ...(ipv4.mtu === undefined ? [] : [`new_interface_mtu=${ipv4.mtu}`]),
    '',
  ].join('\n');
}
