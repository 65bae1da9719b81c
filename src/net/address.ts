/**
 * Owns addresses on links. Ours carry protocol 98 (IFA_PROTO); all others, a DHCP client's too, are left alone.
 */
import { KERNEL_PROTOCOL, linkItem } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { address } from './itemIds.ts';
import type { AddressItem } from './items.ts';
import type { KernelLink } from './kernelLink.ts';
import { lineChanges } from './lineChanges.ts';
import type { LinkReader } from './linkRead.ts';
import { ifnameWord, isIpv6, prefixWord } from './word.ts';

const IP = { command: 'ip' } as const;

export interface AddressDriverNeeds extends Pick<System, 'runner'> {
  readonly links: LinkReader;
}

export function createAddressDriver({ runner, links }: AddressDriverNeeds): Driver<AddressItem> {
  return {
    observe: async (signal, only) =>
      observedAddresses(
        await (only === undefined
          ? links.all(signal)
          : links.some(new Set(only.map(({ spec }) => spec.link)), signal)),
      ),
    // Everything in the spec is in the id: there is nothing to change in place.
    ...lineChanges({ runner, tool: IP, create: 'add', modify: 'add', line: renderAddress }),
    needsRecreate: () => true,
  };
}

/**
 * `noprefixroute` is not set: the on-link route comes and goes with the address. IPv6's is used at once, as IPv4's is:
 * while the kernel looks for a twin (RFC 4862 5.4) it would take no route and no socket with it. Pure.
 */
export function renderAddress(verb: 'add' | 'del', { spec }: AddressItem): string {
  const words = `address ${verb} ${prefixWord(spec.address)} dev ${ifnameWord(spec.link)}`;
  if (verb === 'del') return words;
  return `${words} proto ${KERNEL_PROTOCOL}${isIpv6(spec.address) ? ' nodad' : ''}`;
}

/** Pure. */
export function observedAddresses(links: readonly KernelLink[]): readonly AddressItem[] {
  return links.flatMap(({ ifname, addresses }) =>
    addresses
      .filter((found) => found.protocol === KERNEL_PROTOCOL)
      .map((found) => address({ link: ifname, address: found.address }, [linkItem(ifname)])),
  );
}
