/**
 * Owns static forwarding entries on ports of our bridges. A bridge of ours has no other static entries: FRR's are
 * marked as learned from outside, the kernel's own are permanent.
 */
import { z } from 'zod';
import { linkItem } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { System } from '../system/ports.ts';
import { parseDump, readDump } from './dump.ts';
import { fdb } from './itemIds.ts';
import type { FdbItem } from './items.ts';
import type { KernelLink } from './kernelLink.ts';
import { lineChanges } from './lineChanges.ts';
import { isOurs } from './linkRead.ts';
import { ifnameWord, macWord } from './word.ts';

const KernelEntries = z.array(
  z.object({
    mac: z.string(),
    ifname: z.string(),
    master: z.string().optional(),
    state: z.string().optional(),
    flags: z.array(z.string()).default([]),
  }),
);
type KernelEntries = z.output<typeof KernelEntries>;
const DUMP = ['-j', 'fdb', 'show', 'state', 'static'] as const;
const BRIDGE = { command: 'bridge' } as const;

export interface FdbDriverNeeds extends Pick<System, 'runner'> {
  readonly links: (signal: AbortSignal) => Promise<readonly KernelLink[]>;
}

export function createFdbDriver({ runner, links }: FdbDriverNeeds): Driver<FdbItem> {
  return {
    async observe(signal) {
      const bridges = ourBridges(await links(signal));
      if (bridges.size === 0) return [];
      return observed(await readDump(runner, 'bridge', DUMP, KernelEntries, signal), bridges);
    },
    // replace: the bridge may have learned the address already, which is no reason to refuse.
    ...lineChanges<FdbItem, 'replace'>({
      runner,
      tool: BRIDGE,
      create: 'replace',
      modify: 'replace',
      line: (verb, { spec }) =>
        `fdb ${verb} ${macWord(spec.macAddress)} dev ${ifnameWord(spec.link)} master static`,
    }),
    needsRecreate: () => true,
  };
}

const ourBridges = (links: readonly KernelLink[]): ReadonlySet<string> =>
  new Set(links.filter((found) => found.kind === 'bridge' && isOurs(found)).map((found) => found.ifname));

/** Pure. */
export const parseFdb = (text: string, bridges: ReadonlySet<string>): readonly FdbItem[] =>
  observed(parseDump(text, KernelEntries, 'bridge fdb'), bridges);

function observed(entries: KernelEntries, bridges: ReadonlySet<string>): readonly FdbItem[] {
  return entries
    .filter((found) => found.state === 'static' && !found.flags.includes('extern_learn'))
    .filter((found) => found.master !== undefined && bridges.has(found.master))
    .map((found) => fdb({ link: found.ifname, macAddress: found.mac }, [linkItem(found.ifname)]));
}
