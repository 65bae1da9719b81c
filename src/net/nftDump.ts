/**
 * Owns what `nft -j` says of our tables (`branchbox` in inet, bridge, netdev).
 * Does not own what is done about it.
 */
import { createHash } from 'node:crypto';
import { z } from 'zod';
import { NFT_TABLE } from '../model/ids.ts';
import type { Runner } from '../system/ports.ts';
import { parseDump, readDump } from './dump.ts';
import type { NftFamily } from './items.ts';

const Family = z.enum(['inet', 'bridge', 'netdev']);
const Chain = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.string().optional(),
  hook: z.string().optional(),
  prio: z.number().optional(),
  policy: z.string().optional(),
  /** One device, or several in an array. */
  dev: z.union([z.string(), z.array(z.string())]).optional(),
});
const Rule = z.object({ family: z.string(), table: z.string(), chain: z.string(), expr: z.unknown() });
const Set_ = z.object({
  family: z.string(),
  table: z.string(),
  name: z.string(),
  type: z.union([z.string(), z.array(z.string())]),
  map: z.string().optional(),
  flags: z.union([z.string(), z.array(z.string())]).optional(),
  elem: z.array(z.unknown()).optional(),
});
const Listing = z.object({
  nftables: z.array(
    z.object({
      chain: Chain.optional(),
      rule: Rule.optional(),
      set: Set_.optional(),
      map: Set_.optional(),
    }),
  ),
});
type Listing = z.output<typeof Listing>;

export type KernelSet = z.output<typeof Set_> & { readonly family: NftFamily };
export interface KernelChain {
  readonly family: NftFamily;
  readonly name: string;
  readonly found: z.output<typeof Chain>;
  readonly rules: number;
  /** Of the chain and its rules as the kernel shows them, without counters: any edit changes it. */
  readonly digest: string;
}
export interface NftState {
  readonly chains: readonly KernelChain[];
  readonly sets: readonly KernelSet[];
}

/** Without counters. With elements, since every observation needs them: one process for all. */
export async function readNft(runner: Pick<Runner, 'runChecked'>, signal: AbortSignal): Promise<NftState> {
  return stateOf(await readDump(runner, 'nft', ['-j', '-s', 'list', 'ruleset'], Listing, signal));
}

/** -t: elements are left out (a map of 100,000 takes 0.7 s to list, 4 ms without). */
export async function readNftChains(
  runner: Pick<Runner, 'runChecked'>,
  signal: AbortSignal,
): Promise<readonly KernelChain[]> {
  const args = ['-j', '-t', '-s', 'list', 'ruleset'];
  return stateOf(await readDump(runner, 'nft', args, Listing, signal)).chains;
}

/** Pure. */
export const parseNft = (text: string): NftState => stateOf(parseDump(text, Listing, 'nft'));

function stateOf(listing: Listing): NftState {
  const rules = new Map<string, unknown[]>();
  const chains: z.output<typeof Chain>[] = [];
  const sets: KernelSet[] = [];
  const ours = <T extends { table: string; family: string }>(found: T | undefined) => {
    const family = Family.safeParse(found?.family);
    return found?.table === NFT_TABLE && family.success ? { ...found, family: family.data } : undefined;
  };
  for (const entry of listing.nftables) {
    const set = ours(entry.set ?? entry.map);
    if (set !== undefined) sets.push(set);
    const chain = ours(entry.chain);
    if (chain !== undefined) chains.push(chain);
    const rule = ours(entry.rule);
    if (rule !== undefined) {
      const key = `${rule.family} ${rule.chain}`;
      const known = rules.get(key);
      if (known === undefined) rules.set(key, [rule.expr]);
      else known.push(rule.expr);
    }
  }
  return {
    sets,
    chains: chains.flatMap((found) => {
      const chain = ours(found);
      if (chain === undefined) return [];
      const expressions = rules.get(`${chain.family} ${chain.name}`) ?? [];
      return {
        family: chain.family,
        name: chain.name,
        found,
        rules: expressions.length,
        digest: digestOf({ chain: found, expressions }),
      };
    }),
  };
}

const digestOf = (value: unknown): string =>
  createHash('sha256').update(JSON.stringify(value)).digest('base64url');
