/**
 * Owns one golden case of a whole box, as the agent makes it from desired state and facts: the items, the plan from
 * what is on the box, FRR's file and the nft ruleset. Pure.
 * Does not own the files (box.test.ts).
 */
import { z } from 'zod';
import { type AgentItem, renderBox } from '../../src/agent/items.ts';
import { createDockerEngine } from '../../src/containers/dockerEngine.ts';
import { createContainerDrivers } from '../../src/containers/drivers.ts';
import type { DesiredState } from '../../src/model/desired.ts';
import type { Facts } from '../../src/model/facts.ts';
import { itemId } from '../../src/model/ids.ts';
import type { BootstrapNetwork } from '../../src/model/medium.ts';
import { createNetDrivers } from '../../src/net/drivers.ts';
import { renderFrrConfig } from '../../src/net/frrConfig.ts';
import { presentGates } from '../../src/net/gates.ts';
import type { FrrLineItem } from '../../src/net/items.ts';
import { renderChain } from '../../src/net/nftChain.ts';
import { renderElement } from '../../src/net/nftElement.ts';
import { renderSet } from '../../src/net/nftSet.ts';
import type { Driver } from '../../src/reconcile/driver.ts';
import type { AnyItem } from '../../src/reconcile/item.ts';
import { compare, itemOf, planItems } from '../../src/reconcile/plan.ts';
import { renderPlan } from '../../src/reconcile/planText.ts';
import { createFakeBox } from '../fakes/box.ts';

const Id = z
  .string()
  .regex(/^[a-z-]+:./)
  .transform((text) => itemId(text.slice(0, text.indexOf(':')), text.slice(text.indexOf(':') + 1)));
/** What is on a box and ours. Gates follow from the facts. */
export const ObservedItems = z.array(
  z.strictObject({
    kind: z.string(),
    id: Id,
    spec: z.record(z.string(), z.unknown()),
    needs: z.array(Id),
    owner: z.literal('us'),
  }),
);

/** Needs that the drivers read off a box, by kind; the others are known only of what is wanted. */
const SEEN_NEEDS: Readonly<Record<string, RegExp>> = {
  link: /^link:(br-|wan)/,
  route: /^link:/,
  wireguard: /^link:/,
  'nft-chain': /^nft-(chain|set):/,
  'nft-element': /^nft-set:/,
  app: /^app-/,
};

export const itemsOf = (
  desired: DesiredState | null,
  facts: Facts,
  { quarantined = false, network }: { quarantined?: boolean; network?: BootstrapNetwork | undefined } = {},
): readonly AgentItem[] => renderBox(desired?.spec, facts, desired?.gatewayId, { quarantined, network });

/** A box that holds all of this, as its drivers would show it. */
export function holding(items: readonly AgentItem[]): readonly AnyItem[] {
  // Once each: two domains may want the same.
  const ours = new Map(items.filter(({ owner }) => owner === 'us').map((item) => [item.id, item]));
  return [...ours.values()]
    .map((item) => ({ ...item, needs: item.needs.filter((need) => SEEN_NEEDS[item.kind]?.test(need)) }))
    .sort((a, b) => compare(a.id, b.id));
}

/** Of the drivers only what is pure is asked. */
function createRecreate(): (from: AnyItem, to: AnyItem) => boolean {
  const { system } = createFakeBox();
  const drivers: Readonly<Record<string, Pick<Driver<AnyItem>, 'needsRecreate'>>> = {
    ...createNetDrivers(system),
    ...createContainerDrivers({
      system,
      engine: createDockerEngine({ socketPath: '/none' }),
      bundles: {
        fetch: () => Promise.reject(new Error('a golden case fetches nothing')),
        discard: async () => {},
      },
    }),
  };
  return (from, to) => {
    const driver = drivers[to.kind];
    if (driver === undefined) throw new Error(`no driver for ${to.kind}`);
    return driver.needsRecreate(from, to);
  };
}

export function planText(wanted: readonly AnyItem[], observed: readonly AnyItem[], facts: Facts): string {
  const plan = planItems(wanted, [...observed, ...presentGates(facts)], createRecreate());
  return `${renderPlan(plan)}\n`;
}

export function frrText(items: readonly AgentItem[]): string {
  return renderFrrConfig(items.filter((item): item is FrrLineItem => item.kind === 'frr')).text;
}

/** All of it in one file, in the order in which a box that has none of it would get it. */
export function nftText(items: readonly AgentItem[]): string {
  const wanted = items.filter(({ kind }) => kind.startsWith('nft-'));
  const { steps } = planItems<AgentItem>(
    wanted.map((item) => ({ ...item, needs: item.needs.filter((need) => !need.startsWith('external:')) })),
    [],
    () => false,
  );
  return steps
    .flatMap((step) => nftLines(itemOf(step)))
    .map((line) => `${line}\n`)
    .join('');
}

function nftLines(item: AgentItem): readonly string[] {
  if (item.kind === 'nft-chain') return renderChain(item.spec);
  if (item.kind === 'nft-set') return renderSet(item.spec);
  if (item.kind === 'nft-element') return [renderElement('add', item.spec)];
  return [];
}
