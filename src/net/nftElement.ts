/**
 * Owns elements of sets and maps of table `branchbox`. Keys are written as nft prints them, parts joined by ` . `,
 * without quotes: `10.0.0.1 . app-web`, numbers decimal, ranges with `-`.
 * All elements are read at each observation: 0.7 s for 100,000. Sets that large are no matter for items.
 */
import { itemId, NFT_TABLE } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import { nftElement } from './itemIds.ts';
import type { NftElementItem, NftElementSpec } from './items.ts';
import type { NftDriverNeeds } from './nftChain.ts';
import type { KernelSet } from './nftDump.ts';
import { changeNft } from './nftTransaction.ts';
import { nftLineText, nftNameWord } from './word.ts';

export function createNftElementDriver({
  runner,
  nft,
}: Omit<NftDriverNeeds, 'files'>): Driver<NftElementItem> {
  return {
    async observe(signal) {
      const { sets } = await nft(signal);
      return sets.flatMap((set) => (set.elem ?? []).map((element) => observedElement(set, element)));
    },
    create: (items, signal) => changeNft(runner, items, ({ spec }) => [renderElement('add', spec)], signal),
    /** Out and in within one transaction: no packet sees it missing. */
    modify: (changes, signal) => {
      const from = new Map(changes.map((change) => [change.to.id, change.from.spec]));
      return changeNft(
        runner,
        changes.map((change) => change.to),
        ({ id, spec }) => [renderElement('delete', from.get(id) ?? spec), renderElement('add', spec)],
        signal,
      );
    },
    delete: (items, signal) =>
      changeNft(runner, items, ({ spec }) => [renderElement('destroy', spec)], signal),
    needsRecreate: () => false,
  };
}

/** Pure. */
export function renderElement(verb: 'add' | 'delete' | 'destroy', spec: NftElementSpec): string {
  const key = spec.key
    .split(' . ')
    .map((part) => quoted(nftLineText(part)))
    .join(' . ');
  const value = spec.value === undefined ? '' : ` : ${nftLineText(spec.value)}`;
  return `${verb} element ${spec.family} ${NFT_TABLE} ${nftNameWord(spec.set)} { ${key}${value} }`;
}

/** Interface names may hold what nft reads otherwise; addresses, numbers, ranges and prefixes must not be quoted. */
function quoted(part: string): string {
  return /^[0-9a-fA-F.:/-]+$/.test(part) || /^[a-z]+$/.test(part) ? part : `"${part.replaceAll('"', '')}"`;
}

/** Pure. */
export function observedElement(set: KernelSet, element: unknown): NftElementItem {
  const [key, value] = set.map === undefined ? [element, undefined] : pair(element);
  const needs = [itemId('nft-set', set.family, set.name)];
  const target = isRecord(value) ? (verdictTarget(value) ?? []) : [];
  return nftElement(
    {
      family: set.family,
      set: set.name,
      key: textOf(key),
      ...(set.map === undefined ? {} : { value: isRecord(value) ? verdictText(value) : textOf(value) }),
    },
    [...needs, ...[target].flat().map((name) => itemId('nft-chain', set.family, name))],
  );
}

const isRecord = (value: unknown): value is Readonly<Record<string, unknown>> =>
  typeof value === 'object' && value !== null && !Array.isArray(value);

const pair = (element: unknown): readonly unknown[] => (Array.isArray(element) ? element : [element]);

function textOf(value: unknown): string {
  if (!isRecord(value)) return String(value);
  if (isRecord(value['elem'])) return textOf(value['elem']['val']);
  if (Array.isArray(value['concat'])) return value['concat'].map(textOf).join(' . ');
  if (Array.isArray(value['range'])) return value['range'].map(textOf).join('-');
  if (isRecord(value['prefix']))
    return `${String(value['prefix']['addr'])}/${String(value['prefix']['len'])}`;
  return JSON.stringify(value);
}

function verdictTarget(verdict: Readonly<Record<string, unknown>>): string | undefined {
  const to = verdict['jump'] ?? verdict['goto'];
  return isRecord(to) ? String(to['target']) : undefined;
}

/** `drop`, `jump tenant-red`. */
function verdictText(verdict: Readonly<Record<string, unknown>>): string {
  const [word = ''] = Object.keys(verdict);
  const target = verdictTarget(verdict);
  return target === undefined ? word : `${word} ${target}`;
}
