/**
 * Owns sets and maps of table `branchbox`, without their elements (nftElement.ts).
 */
import { type ItemId, NFT_TABLE } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import { nftSet } from './itemIds.ts';
import type { NftSetItem, NftSetSpec } from './items.ts';
import type { NftDriverNeeds } from './nftChain.ts';
import type { KernelSet } from './nftDump.ts';
import { changeNft } from './nftTransaction.ts';
import { nftLineText, nftNameWord } from './word.ts';

const FLAGS = ['interval', 'timeout'] as const;

export function createNftSetDriver({ runner, nft }: Omit<NftDriverNeeds, 'files'>): Driver<NftSetItem> {
  const create = (items: readonly NftSetItem[], signal: AbortSignal) =>
    changeNft(runner, items, ({ spec }) => renderSet(spec), signal);
  return {
    observe: async (signal) => (await nft(signal)).sets.map(observedSet),
    create,
    modify: (changes, signal) =>
      create(
        changes.map((change) => change.to),
        signal,
      ),
    delete: (items, signal) =>
      changeNft(
        runner,
        items,
        ({ spec }) => [`destroy ${kindOf(spec)} ${spec.family} ${NFT_TABLE} ${nftNameWord(spec.name)}`],
        signal,
      ),
    needsRecreate: () => true,
  };
}

const kindOf = (spec: NftSetSpec): 'set' | 'map' => (spec.mapTo === undefined ? 'set' : 'map');

/** Pure. */
export function renderSet(spec: NftSetSpec): readonly string[] {
  const table = `${spec.family} ${NFT_TABLE}`;
  const type = nftLineText(spec.mapTo === undefined ? spec.type : `${spec.type} : ${spec.mapTo}`);
  const flags = spec.flags === undefined ? '' : ` flags ${spec.flags.join(', ')};`;
  return [
    `add table ${table}`,
    `add ${kindOf(spec)} ${table} ${nftNameWord(spec.name)} { type ${type};${flags} }`,
  ];
}

/** Pure. */
export function observedSet(found: KernelSet): NftSetItem {
  const flags = FLAGS.filter((flag) => [found.flags].flat().includes(flag));
  const needs: readonly ItemId[] = [];
  return nftSet(
    {
      family: found.family,
      name: found.name,
      type: [found.type].flat().join(' . '),
      ...(found.map === undefined ? {} : { mapTo: found.map }),
      ...(flags.length === 0 ? {} : { flags }),
    },
    needs,
  );
}
