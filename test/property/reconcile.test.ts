/** Planning and applying, held against a model box with any intents, kills and foreign items. */
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { itemId, type ItemId } from '../../src/model/ids.ts';
import { itemOf, planItems } from '../../src/reconcile/plan.ts';
import { createReconciler } from '../../src/reconcile/reconciler.ts';
import {
  createModelBox,
  KINDS,
  modelItem,
  recreateModel,
  type ModelBox,
  type ModelItem,
} from '../fakes/modelBox.ts';
import { silentLog as log } from '../fakes/silentLog.ts';

const EXTERNALS = ['cable', 'lease', 'kernel'] as const;
const externalItem = (name: string): ModelItem => modelItem('gamma', `ext-${name}`, 0, [], 'external');
const kindOf = (index: number) => KINDS[index % KINDS.length] ?? 'alpha';
const idOf = (index: number): ItemId => itemId(kindOf(index), index);

/** A list of wanted items that need earlier ones and, now and then, something external. */
const worldOf = fc
  .array(
    fc.record({
      present: fc.boolean(),
      value: fc.integer({ min: 0, max: 2 }),
      needs: fc.array(fc.nat({ max: 20 }), { maxLength: 3 }),
      external: fc.option(fc.constantFrom(...EXTERNALS), { freq: 6 }),
    }),
    { maxLength: 20 },
  )
  .map((rows) => {
    const items: ModelItem[] = [];
    rows.forEach((row, index) => {
      if (!row.present) return;
      const needs = row.needs.filter((need) => need < index && rows[need]?.present === true).map(idOf);
      if (row.external !== null) needs.push(externalItem(row.external).id);
      items.push(modelItem(kindOf(index), index, row.value, needs));
    });
    return items;
  });

const externals = fc.subarray([...EXTERNALS]).map((names) => names.map(externalItem));
const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const signal = new AbortController().signal;

/** A box that came from an earlier world, with only what its externals let be there. */
async function boxFrom(world: readonly ModelItem[], present: readonly ModelItem[]) {
  const box = createModelBox(present);
  await createReconciler({ drivers: box.drivers, clock, log }).converge(world, signal);
  return box;
}

/** What a box can hold of a world: all but what misses an external, directly or not. */
function reachable(world: readonly ModelItem[], present: readonly ModelItem[]): readonly string[] {
  const there = new Set(present.map((item) => item.id));
  const names: string[] = [];
  for (const item of world) {
    if (!item.needs.every((need) => there.has(need))) continue;
    there.add(item.id);
    names.push(`${item.id}=${item.spec.value}`);
  }
  return names.toSorted();
}

/** All that can be there is; beside it only what is wanted, was there before, and now waits: it is left as it was. */
function expectIntent(box: ModelBox, world: readonly ModelItem[], present: readonly ModelItem[]): void {
  const reached = reachable(world, present);
  expect(box.render()).toEqual(expect.arrayContaining([...reached]));
  const waiting = new Set(
    world.filter((item) => !reached.includes(`${item.id}=${item.spec.value}`)).map(({ id }) => id),
  );
  const ours = [...box.items.values()].filter((item) => item.owner === 'us');
  expect(ours.filter((item) => !waiting.has(item.id))).toHaveLength(reached.length);
}

describe('planning and applying', () => {
  it('reaches the intent from any earlier one', async () => {
    await fc.assert(
      fc.asyncProperty(worldOf, worldOf, externals, async (before, after, present) => {
        const box = await boxFrom(before, present);
        const { drivers } = box;
        const report = await createReconciler({ drivers, clock, log }).converge(after, signal);
        expectIntent(box, after, present);
        expect(report.converged).toBe(true);
      }),
    );
  });

  it('has nothing to do where everything is as wanted', () => {
    fc.assert(
      fc.property(worldOf, (world) => {
        const all = [...world, ...EXTERNALS.map(externalItem)];
        expect(planItems(world, all, recreateModel)).toEqual({ steps: [], blocked: [] });
      }),
    );
  });

  it('reaches the intent after being killed at any step', async () => {
    await fc.assert(
      fc.asyncProperty(worldOf, worldOf, externals, fc.nat(), async (before, after, present, at) => {
        const box = await boxFrom(before, present);
        const { steps } = planItems(after, [...box.items.values()], recreateModel);
        for (const step of steps.slice(0, at % (steps.length + 1))) {
          // What the kernel dropped with something else is gone before its own step.
          if (step.op !== 'create' && !box.items.has(itemOf(step).id)) continue;
          // And what needs that is refused, as apply.ts takes it: one failure, the rest goes on.
          if (step.op !== 'delete' && !itemOf(step).needs.every((need) => box.items.has(need))) continue;
          box.step(step);
        }
        const { drivers } = box;
        await createReconciler({ drivers, clock, log }).converge(after, signal);
        expectIntent(box, after, present);
      }),
    );
  });

  it('never touches what is not ours', () => {
    fc.assert(
      fc.property(worldOf, worldOf, externals, (before, after, present) => {
        const foreign = before.map((item): ModelItem => ({ ...item, owner: 'external' }));
        const wanted = after.filter((item) => !foreign.some(({ id }) => id === item.id));
        const { steps } = planItems(wanted, [...foreign, ...present], recreateModel);
        const touched = steps.filter((step) => step.op !== 'create' || !wanted.includes(step.item));
        expect(touched).toEqual([]);
      }),
    );
  });

  it('creates after what is needed and deletes before it', () => {
    fc.assert(
      fc.property(worldOf, worldOf, (before, after) => {
        const there = EXTERNALS.map(externalItem);
        const { steps } = planItems(after, [...before, ...there], recreateModel);
        const present = new Map([...before, ...there].map((item) => [item.id, item]));
        for (const step of steps) {
          const item = itemOf(step);
          if (step.op === 'delete') {
            const standing = [...present.values()].filter((other) => other.needs.includes(item.id));
            // One that is to stand elsewhere afterwards is modified later, and is not torn down for it.
            const wanted = new Map(after.map((other) => [other.id, other]));
            expect(
              standing.filter((other) => wanted.get(other.id)?.needs.includes(item.id) !== false),
            ).toEqual([]);
            present.delete(item.id);
          } else {
            expect(item.needs.filter((need) => !present.has(need))).toEqual([]);
            present.set(item.id, item);
          }
        }
      }),
    );
  });

  it('does not depend on the order of its inputs', () => {
    const shuffled = fc
      .tuple(worldOf, worldOf)
      .chain(([before, after]) =>
        fc.tuple(
          fc.constant({ before, after }),
          fc.shuffledSubarray(before, { minLength: before.length }),
          fc.shuffledSubarray(after, { minLength: after.length }),
        ),
      );
    fc.assert(
      fc.property(shuffled, ([{ before, after }, otherBefore, otherAfter]) => {
        expect(planItems(otherAfter, otherBefore, recreateModel)).toEqual(
          planItems(after, before, recreateModel),
        );
      }),
    );
  });
});
