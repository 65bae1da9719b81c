/** What has to be looked at again after a run, held against runs after which a little is not enough. */
import { expect, test } from 'vitest';
import { looksEnough } from '../../../src/reconcile/scope.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Outcome, Step } from '../../../src/reconcile/item.ts';
import { modelItem, type ModelItem } from '../../fakes/modelBox.ts';

const bridge = modelItem('alpha', 'bridge', 1);
const port = modelItem('alpha', 'port', 1, [bridge.id]);
const other = modelItem('beta', 'other', 1);
const ok = (...items: ModelItem[]): Outcome[] => items.map(({ id }) => ({ id, ok: true }));
const look = (steps: Step<ModelItem>[], outcomes: Outcome[], observed: ModelItem[]) =>
  looksEnough({ steps, blocked: [] }, outcomes, observed)?.map((item) => item.id);

test('what was made, or changed with nothing on it, is enough to look at', () => {
  const create: Step<ModelItem> = { op: 'create', item: port };
  const modify: Step<ModelItem> = { op: 'modify', from: other, to: modelItem('beta', 'other', 2) };
  expect(look([create, modify], ok(port, other), [bridge, other])).toEqual([port.id, other.id]);
});

test('everything is looked at after a delete, a failure, a step not tried, a change under something else', () => {
  const create: Step<ModelItem> = { op: 'create', item: port };
  const failed: Outcome = {
    id: port.id,
    ok: false,
    error: new BranchboxError('net/kernel', { message: 'no' }),
  };
  expect(look([{ op: 'delete', item: other }], ok(other), [other])).toBeUndefined();
  expect(look([create], [failed], [bridge])).toBeUndefined();
  expect(look([create], [], [bridge])).toBeUndefined();
  const modify: Step<ModelItem> = { op: 'modify', from: bridge, to: modelItem('alpha', 'bridge', 2) };
  expect(look([modify], ok(bridge), [bridge, port])).toBeUndefined();
});
