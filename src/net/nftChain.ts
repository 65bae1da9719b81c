/**
 * Owns chains of table `branchbox`, each with all its rules. nft does not print rules as they were written, so a note
 * holds, for each chain applied, its spec and a digest of how the kernel showed it right then: a chain that still
 * shows so is as its spec says; anything else is drift, and the chain is written again, in one transaction.
 */
import { z } from 'zod';
import { type ItemId, itemId, NFT_TABLE } from '../model/ids.ts';
import type { Driver } from '../reconcile/driver.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { System } from '../system/ports.ts';
import { createAppliedNotes } from './applied.ts';
import { nftChain } from './itemIds.ts';
import type { NftChainItem, NftChainSpec } from './items.ts';
import { type KernelChain, type NftState, readNftChains } from './nftDump.ts';
import { afterwards, changeNft } from './nftTransaction.ts';
import { ifnameWord, nftLineText, nftNameWord } from './word.ts';

const Note = z.object({
  digest: z.string(),
  spec: z.object({
    family: z.enum(['inet', 'bridge', 'netdev']),
    name: z.string(),
    hook: z
      .object({
        type: z.enum(['filter', 'nat', 'route']),
        hook: z.string(),
        priority: z.number(),
        policy: z.enum(['accept', 'drop']),
        device: z.string().exactOptional(),
      })
      .exactOptional(),
    rules: z.array(z.string()),
  }),
});
type Note = z.output<typeof Note>;

export interface NftDriverNeeds extends Pick<System, 'runner' | 'files'> {
  readonly nft: (signal: AbortSignal) => Promise<NftState>;
}

export function createNftChainDriver({ runner, files, nft }: NftDriverNeeds): Driver<NftChainItem> {
  const notes = createAppliedNotes(files, 'nft-chain', Note);

  const write = async (items: readonly NftChainItem[], signal: AbortSignal): Promise<readonly Outcome[]> => {
    const outcomes = await changeNft(runner, items, (item) => renderChain(item.spec), signal);
    return await afterwards(outcomes, async (succeeded) => {
      const found = await readNftChains(runner, signal);
      const shown = new Map(found.map((chain) => [idOf(chain), chain.digest]));
      const changes = new Map<string, Note>();
      for (const { id, spec } of items) {
        const digest = shown.get(id);
        if (succeeded.has(id) && digest !== undefined) changes.set(id, { digest, spec: plain(spec) });
      }
      await notes.change(changes);
    });
  };

  return {
    async observe(signal) {
      const [state, noted] = await Promise.all([nft(signal), notes.read()]);
      return state.chains.map((chain) => observedChain(chain, noted.get(idOf(chain))));
    },
    create: write,
    modify: (changes, signal) =>
      write(
        changes.map((change) => change.to),
        signal,
      ),
    async delete(items, signal) {
      const outcomes = await changeNft(runner, items, ({ spec }) => renderChainRemoval(spec), signal);
      return await afterwards(outcomes, (succeeded) =>
        notes.change(new Map([...succeeded].map((id) => [id, undefined]))),
      );
    },
    needsRecreate: (from, to) => hookOf(from.spec) !== hookOf(to.spec),
  };
}

const idOf = (chain: { readonly family: string; readonly name: string }): ItemId =>
  itemId('nft-chain', chain.family, chain.name);

/** What a chain cannot change while it lives; its policy it can. */
const hookOf = ({ hook }: NftChainSpec): string =>
  hook === undefined ? '' : [hook.type, hook.hook, hook.priority, hook.device ?? ''].join(' ');

/** Adding what is there already is no error; flushing first makes it whole again. Pure. */
export function renderChain(spec: NftChainSpec): readonly string[] {
  const table = `${spec.family} ${NFT_TABLE}`;
  const name = nftNameWord(spec.name);
  return [
    `add table ${table}`,
    `add chain ${table} ${name}${renderHook(spec)}`,
    `flush chain ${table} ${name}`,
    ...spec.rules.map((rule) => `add rule ${table} ${name} ${nftLineText(rule)}`),
  ];
}

function renderHook({ hook }: NftChainSpec): string {
  if (hook === undefined) return '';
  const device = hook.device === undefined ? '' : ` device "${ifnameWord(hook.device)}"`;
  return ` { type ${hook.type} hook ${nftNameWord(hook.hook)}${device} priority ${hook.priority}; policy ${hook.policy}; }`;
}

/** Its rules first: they may be what holds a chain or set that goes in the same transaction. Pure. */
export function renderChainRemoval(spec: NftChainSpec): readonly string[] {
  const chain = `${spec.family} ${NFT_TABLE} ${nftNameWord(spec.name)}`;
  return [`destroy chain ${chain}`];
}

/** Pure. */
export function observedChain(chain: KernelChain, note: Note | undefined): NftChainItem {
  if (note?.digest === chain.digest) return nftChain(note.spec, referencesOf(note.spec));
  const { found } = chain;
  const device = Array.isArray(found.dev) ? found.dev[0] : found.dev;
  const type = Note.shape.spec.shape.hook.unwrap().shape.type.safeParse(found.type);
  const hook =
    found.hook === undefined || !type.success
      ? {}
      : {
          hook: {
            type: type.data,
            hook: found.hook,
            priority: found.prio ?? 0,
            policy: found.policy === 'drop' ? ('drop' as const) : ('accept' as const),
            ...(device === undefined ? {} : { device }),
          },
        };
  const drift = [note === undefined ? 'not known how it was written' : 'edited by somebody else'];
  const spec: NftChainSpec = { family: chain.family, name: chain.name, ...hook, rules: [], drift };
  return nftChain(spec, note === undefined ? [] : referencesOf(note.spec));
}

/** Sets and chains that the rules name: what must be there before, and go after. Pure. */
export function referencesOf(spec: NftChainSpec): readonly ItemId[] {
  const text = spec.rules.join('\n');
  // `@th,64,8` is a piece of a packet (nft(8), raw payload), no set.
  const sets = [...text.matchAll(/@(?!(?:ll|nh|th|ih),)([a-zA-Z_][a-zA-Z0-9_.-]*)/g)].map(
    (match) => match[1] ?? '',
  );
  const chains = [...text.matchAll(/\b(?:jump|goto) ([a-zA-Z_][a-zA-Z0-9_.-]*)/g)].map(
    (match) => match[1] ?? '',
  );
  return [
    ...new Set([
      ...sets.map((name) => itemId('nft-set', spec.family, name)),
      ...chains.map((name) => itemId('nft-chain', spec.family, name)),
    ]),
  ];
}

function plain({ family, name, hook, rules }: NftChainSpec): Note['spec'] {
  return { family, name, ...(hook === undefined ? {} : { hook }), rules: [...rules] };
}
