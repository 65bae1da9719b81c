/**
 * Owns a box of abstract items for tests of the reconciler: it refuses what a kernel would (a create whose need is
 * not there, a delete of what is not there) and drops what stands on a deleted item.
 */
import { BranchboxError } from '../../src/model/errors.ts';
import { itemId, type ItemId } from '../../src/model/ids.ts';
import type { Driver, Drivers } from '../../src/reconcile/driver.ts';
import type { ItemBase, Outcome, Step } from '../../src/reconcile/item.ts';

export type Kind = 'alpha' | 'beta' | 'gamma';
export const KINDS: readonly Kind[] = ['alpha', 'beta', 'gamma'];
export interface ModelSpec {
  readonly value: number;
}
export type ModelItem = { [K in Kind]: ItemBase<K, ModelSpec> }[Kind];

export function modelItem(
  kind: Kind,
  name: string | number,
  value: number,
  needs: readonly ItemId[] = [],
  owner: 'us' | 'external' = 'us',
): ModelItem {
  return { kind, id: itemId(kind, name), spec: { value }, needs, owner };
}

/** Of kind beta a change of value cannot be made in place. */
export const recreateModel = (from: ModelItem, to: ModelItem): boolean =>
  from.kind === 'beta' && from.spec.value !== to.spec.value;

export interface ModelBox {
  readonly items: Map<ItemId, ModelItem>;
  /** Driver calls, as `op kind count`. */
  readonly calls: string[];
  /** Items that cannot be created or modified, while they stand here. */
  readonly broken: Set<ItemId>;
  /** Kinds that cannot be observed. */
  readonly deaf: Set<Kind>;
  step(step: Step<ModelItem>): void;
  readonly drivers: Drivers<ModelItem>;
  /** Ours, as sorted text: what tests compare. */
  render(): readonly string[];
}

export function createModelBox(initial: readonly ModelItem[] = []): ModelBox {
  const items = new Map(initial.map((item) => [item.id, item]));
  const calls: string[] = [];
  const broken = new Set<ItemId>();
  const deaf = new Set<Kind>();

  const refuse = (message: string): never => {
    throw new BranchboxError('net/kernel', { message });
  };
  const put = (item: ModelItem): void => {
    if (broken.has(item.id)) refuse(`${item.id} is broken`);
    for (const need of item.needs) if (!items.has(need)) refuse(`${item.id}: ${need} is not there`);
    items.set(item.id, item);
  };
  const drop = (id: ItemId): void => {
    items.delete(id);
    for (const other of items.values()) if (other.owner === 'us' && other.needs.includes(id)) drop(other.id);
  };
  const step = (one: Step<ModelItem>): void => {
    const item = one.op === 'modify' ? one.to : one.item;
    const there = items.get(item.id);
    if (there?.owner === 'external') refuse(`${item.id} is not ours`);
    if (one.op === 'create' && there !== undefined) refuse(`${item.id} is already there`);
    if (one.op !== 'create' && there === undefined) refuse(`${item.id} is not there`);
    if (one.op === 'modify' && recreateModel(one.from, one.to)) refuse(`${item.id} cannot be modified`);
    if (one.op === 'delete') drop(item.id);
    else put(item);
  };
  const outcomeOf = (one: Step<ModelItem>): Outcome => {
    const { id } = one.op === 'modify' ? one.to : one.item;
    try {
      step(one);
      return { id, ok: true };
    } catch (thrown) {
      if (thrown instanceof BranchboxError) return { id, ok: false, error: thrown };
      throw thrown;
    }
  };
  const driverOf = <K extends Kind>(kind: K): Driver<Extract<ModelItem, { kind: K }>> => {
    const isKind = (item: ModelItem): item is Extract<ModelItem, { kind: K }> => item.kind === kind;
    const tell = (op: string, count: number): void => void calls.push(`${op} ${kind} ${count}`);
    return {
      observe: () =>
        deaf.has(kind)
          ? Promise.reject(new BranchboxError('frr/rejected', { message: `${kind} does not answer` }))
          : Promise.resolve([...items.values()].filter(isKind)),
      async create(list) {
        tell('create', list.length);
        return list.map((item) => outcomeOf({ op: 'create', item }));
      },
      async modify(changes) {
        tell('modify', changes.length);
        return changes.map(({ from, to }) => outcomeOf({ op: 'modify', from, to }));
      },
      async delete(list) {
        tell('delete', list.length);
        return list.map((item) => outcomeOf({ op: 'delete', item }));
      },
      needsRecreate: recreateModel,
    };
  };
  return {
    items,
    calls,
    broken,
    deaf,
    step,
    drivers: { alpha: driverOf('alpha'), beta: driverOf('beta'), gamma: driverOf('gamma') },
    render: () =>
      [...items.values()]
        .filter((item) => item.owner === 'us')
        .map((item) => `${item.id}=${item.spec.value}`)
        .toSorted(),
  };
}
