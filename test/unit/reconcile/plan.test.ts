/** Plans, batches and equality, held against needs, blocked items, circles and the cost of one change among many. */
import { describe, expect, it } from 'vitest';
import { sameSpec } from '../../../src/reconcile/equal.ts';
import { batchesOf } from '../../../src/reconcile/apply.ts';
import { itemOf, planItems } from '../../../src/reconcile/plan.ts';
import { renderPlan } from '../../../src/reconcile/planText.ts';
import { modelItem, recreateModel, type ModelItem } from '../../fakes/modelBox.ts';

const plan = (desired: readonly ModelItem[], observed: readonly ModelItem[]) =>
  planItems(desired, observed, recreateModel);
const text = (desired: readonly ModelItem[], observed: readonly ModelItem[]) =>
  renderPlan(plan(desired, observed)).split('\n');

describe('planItems', () => {
  const cable = modelItem('gamma', 'cable', 0, [], 'external');

  it('deletes dependents first, then modifies and creates in the order of needs', () => {
    const old = modelItem('alpha', 'old', 1);
    const onOld = modelItem('gamma', 'on-old', 1, [old.id]);
    const kept = modelItem('alpha', 'kept', 1);
    const bridge = modelItem('alpha', 'bridge', 1, [cable.id]);
    const port = modelItem('alpha', 'port', 1, [bridge.id]);
    const changed = modelItem('alpha', 'kept', 2);
    expect(text([port, bridge, changed], [cable, kept, old, onOld])).toEqual([
      '- gamma:on-old',
      '- alpha:old',
      '~ alpha:kept value=1→2',
      '+ alpha:bridge value=1',
      '+ alpha:port value=1',
    ]);
  });

  it('recreates what stands on a recreated item, and says why', () => {
    const link = (value: number) => modelItem('beta', 'link', value);
    const route = modelItem('alpha', 'route', 1, [link(0).id]);
    const beside = modelItem('alpha', 'beside', 1);
    expect(text([link(2), route, beside], [link(1), route, beside])).toEqual([
      '- alpha:route (with beta:link)',
      '- beta:link',
      '+ beta:link value=2',
      '+ alpha:route value=1 (with beta:link)',
    ]);
  });

  it('blocks what waits for something external, and what waits for that', () => {
    const bridge = modelItem('alpha', 'bridge', 1, [cable.id]);
    const port = modelItem('alpha', 'port', 1, [bridge.id]);
    expect(text([port, bridge], [])).toEqual([
      '! alpha:bridge waits for gamma:cable',
      '! alpha:port waits for alpha:bridge',
    ]);
  });

  it('leaves what works as it is while its need cannot be seen', () => {
    const bridge = modelItem('alpha', 'bridge', 1, [cable.id]);
    const changed = modelItem('alpha', 'bridge', 2, [cable.id]);
    expect(plan([changed], [bridge])).toEqual({
      steps: [],
      blocked: [{ id: bridge.id, missing: [cable.id] }],
    });
  });

  it('adopts an external item that is wanted as ours', () => {
    const port = modelItem('alpha', 'lan1', 1);
    expect(text([port], [{ ...port, owner: 'external' }])).toEqual(['+ alpha:lan1 value=1']);
  });

  it('names a circle of needs', () => {
    const one = modelItem('alpha', 'one', 1, [modelItem('alpha', 'two', 1).id]);
    const two = modelItem('alpha', 'two', 1, [one.id]);
    const after = modelItem('alpha', 'after', 1, [two.id]);
    expect(() => plan([one, two, after], [])).toThrow(
      expect.objectContaining({
        code: 'reconcile/cycle',
        message: 'items need each other in a circle: alpha:two needs alpha:one needs alpha:two',
      }),
    );
  });

  it('takes one item from two domains, unless they differ', () => {
    const loopback = modelItem('alpha', 'lo', 1);
    expect(text([loopback, { ...loopback, needs: [cable.id] }], [cable])).toEqual(['+ alpha:lo value=1']);
    expect(() => plan([loopback, modelItem('alpha', 'lo', 2)], [])).toThrow(
      expect.objectContaining({ code: 'reconcile/conflict' }),
    );
  });

  it('touches one port among 1,000 segments where one port changed', () => {
    const world = (moved: number): ModelItem[] =>
      Array.from({ length: 1000 }, (_, index) => {
        const bridge = modelItem('alpha', `br-${index}`, index);
        const vxlan = modelItem('beta', `vx-${index}`, index, [bridge.id]);
        const port = modelItem('gamma', `port-${index}`, index === 500 ? moved : index, [bridge.id]);
        return [bridge, vxlan, port];
      }).flat();
    expect(text(world(7), world(500))).toEqual(['~ gamma:port-500 value=500→7']);
  });
});

describe('batchesOf', () => {
  it('puts together what does not depend on each other', () => {
    const bridges = ['br-1', 'br-2', 'br-3'].map((name) => modelItem('alpha', name, 1));
    const ports = bridges.map((bridge, index) => modelItem('alpha', `port-${index}`, 1, [bridge.id]));
    const addresses = bridges.map((bridge, index) => modelItem('gamma', `address-${index}`, 1, [bridge.id]));
    const { steps } = plan([...addresses, ...ports, ...bridges], []);
    expect(batchesOf(steps).map((batch) => batch.map((step) => itemOf(step).id).join(' '))).toEqual([
      'alpha:br-1 alpha:br-2 alpha:br-3',
      'alpha:port-0 alpha:port-1 alpha:port-2',
      'gamma:address-0 gamma:address-1 gamma:address-2',
    ]);
  });
});

describe('sameSpec', () => {
  it.each([
    [{ a: 1, b: [1, { c: 2 }] }, { b: [1, { c: 2 }], a: 1 }, true],
    [{ a: 1, b: undefined }, { a: 1 }, true],
    [{ a: 1 }, { a: 1, b: undefined }, true],
    [{ a: [1, 2] }, { a: [2, 1] }, false],
    [{ a: 1 }, { a: '1' }, false],
    [{ a: null }, { a: {} }, false],
    [[], {}, false],
  ])('%j and %j: %s', (left, right, same) => {
    expect(sameSpec(left, right)).toBe(same);
  });
});
