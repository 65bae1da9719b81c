/**
 * Owns that no tenant's frame passes a box that its owner no longer trusts: two chains over all bridges, in and out.
 * What carries the frames stays as it is, so that a release is one transaction and no app is lost. Pure.
 * Does not own what tunnels may bring (render.ts: nothing, then), nor when a box is quarantined (bootstrap/standing).
 */
import { itemId } from '../model/ids.ts';
import type { NetItem } from '../net/items.ts';
import type { AnyItem } from '../reconcile/item.ts';
import { chain } from './pieces.ts';

const IN = 'quarantine_in';
const OUT = 'quarantine_out';
/** Before every other judgement on bridged frames; the guard of apps (appGuard.ts) is at -350. */
const PRIORITY_FIRST = -400;
const GATES = [IN, OUT].map((name) => itemId('nft-chain', 'bridge', name));

export function renderQuarantine(): NetItem[] {
  const drop = { priority: PRIORITY_FIRST, policy: 'drop' } as const;
  return [
    chain(IN, { hook: 'prerouting', ...drop }, [], 'bridge'),
    chain(OUT, { hook: 'output', ...drop }, [], 'bridge'),
  ];
}

/** A box that starts in quarantine makes the chains before the first bridge that they close. */
export function behindQuarantine<I extends AnyItem>(items: readonly I[]): I[] {
  return items.map((item) => (item.kind === 'link' ? { ...item, needs: [...item.needs, ...GATES] } : item));
}
