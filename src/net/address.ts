/**
 * Owns addresses on links. Ours carry protocol 98 (IFA_PROTO); all others, a DHCP client's too, are left alone.
 */
import { z } from 'zod';
import { KERNEL_PROTOCOL, linkItem } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { ALREADY_GONE, runBatch } from './batch.ts';
import { parseDump, readDump } from './dump.ts';
import { address } from './identity.ts';
import type { AddressItem } from './items.ts';
import { ifnameWord, prefixWord } from './word.ts';

const KernelAddresses = z.array(
  z.object({
    ifname: z.string().optional(),
    addr_info: z
      .array(
        z.object({
          local: z.string().optional(),
          prefixlen: z.number().optional(),
          protocol: z.string().optional(),
        }),
      )
      .default([]),
  }),
);
const DUMP = ['-j', '-N', 'address'] as const;
const IP = { command: 'ip' } as const;

export function createAddressDriver({ runner }: Pick<System, 'runner'>): Driver<AddressItem> {
  const batch = (items: readonly AddressItem[], verb: 'add' | 'del', signal: AbortSignal) =>
    runBatch({
      runner,
      tool: IP,
      items,
      render: (item) => [renderAddress(verb, item)],
      signal,
      ...(verb === 'del' ? { fine: ALREADY_GONE } : {}),
    });
  return {
    observe: async (signal) => observed(await readDump(runner, 'ip', DUMP, KernelAddresses, signal)),
    create: (items, signal) => batch(items, 'add', signal),
    // Everything in the spec is in the id: there is nothing to change in place.
    modify: (changes, signal) =>
      batch(
        changes.map((change) => change.to),
        'add',
        signal,
      ),
    delete: (items, signal) => batch(items, 'del', signal),
    needsRecreate: () => true,
  };
}

/** `noprefixroute` is not set: the on-link route comes and goes with the address. Pure. */
export function renderAddress(verb: 'add' | 'del', { spec }: AddressItem): string {
  const mark = verb === 'add' ? ` proto ${KERNEL_PROTOCOL}` : '';
  return `address ${verb} ${prefixWord(spec.address)} dev ${ifnameWord(spec.link)}${mark}`;
}

/** Pure. */
export const parseAddresses = (text: string): readonly AddressItem[] =>
  observed(parseDump(text, KernelAddresses, 'ip address'));

function observed(links: z.output<typeof KernelAddresses>): readonly AddressItem[] {
  return links.flatMap(({ ifname, addr_info }) =>
    addr_info
      // Printed as `0x62`: a name for it in rt_addrprotos would hide it, which -N prevents.
      .filter((found) => Number(found.protocol) === KERNEL_PROTOCOL)
      .map((found) => {
        const name = ifname ?? '';
        return address({ link: name, address: `${found.local}/${found.prefixlen}` }, [linkItem(name)]);
      }),
  );
}
