/** One run of the reconciler over a model box, held against failing, lying and unreadable drivers. */
import { describe, expect, it } from 'vitest';
import { BranchboxError } from '../../../src/model/errors.ts';
import { createReconciler } from '../../../src/reconcile/reconciler.ts';
import { createModelBox, modelItem, type ModelBox } from '../../fakes/modelBox.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const clock = { nowMs: () => 0, monotonicMs: () => 0, sleep: () => Promise.resolve() };
const { signal } = new AbortController();
const reconcilerOf = (box: ModelBox) => createReconciler({ drivers: box.drivers, clock, log });

const bridge = modelItem('alpha', 'bridge', 1);
const port = modelItem('alpha', 'port', 1, [bridge.id]);
const app = modelItem('gamma', 'app', 1, [port.id]);
const beside = modelItem('alpha', 'beside', 1);

describe('converge', () => {
  it('makes the box as wanted and says so', async () => {
    const box = createModelBox();
    const report = await reconcilerOf(box).converge([app, port, bridge, beside], signal);
    expect(box.render()).toEqual(['alpha:beside=1', 'alpha:bridge=1', 'alpha:port=1', 'gamma:app=1']);
    expect(box.calls).toEqual(['create alpha 2', 'create alpha 1', 'create gamma 1']);
    expect(report).toMatchObject({ converged: true, applied: 4, plan: { steps: [], blocked: [] } });
  });

  it('goes on with all that does not depend on a failure', async () => {
    const box = createModelBox();
    box.broken.add(port.id);
    const report = await reconcilerOf(box).converge([app, port, bridge, beside], signal);
    expect(box.render()).toEqual(['alpha:beside=1', 'alpha:bridge=1']);
    expect(report.converged).toBe(false);
    expect([...report.failures].map(([id, error]) => [id, error.code])).toEqual([
      ['alpha:port', 'net/kernel'],
      ['gamma:app', 'reconcile/blocked'],
    ]);
  });

  it('leaves held items and their dependents for later, and still tells what is wrong with them', async () => {
    const box = createModelBox();
    const held = new Map([[port.id, new BranchboxError('net/kernel', { message: 'refused before' })]]);
    const report = await reconcilerOf(box).converge([app, port, bridge], signal, { held });
    expect(box.render()).toEqual(['alpha:bridge=1']);
    expect([...report.failures].map(([id, { message }]) => [id, message])).toEqual([
      ['gamma:app', 'gamma:app waits for alpha:port, which failed'],
      ['alpha:port', 'refused before'],
    ]);
    expect(report.converged).toBe(false);
  });

  it('plans nothing of a kind that cannot be observed, and tears nothing down', async () => {
    const box = createModelBox([bridge, port]);
    box.deaf.add('alpha');
    const report = await reconcilerOf(box).converge([bridge, port, modelItem('beta', 'new', 1)], signal);
    expect(box.render()).toEqual(['alpha:bridge=1', 'alpha:port=1', 'beta:new=1']);
    expect(report.converged).toBe(false);
    expect([...report.failures].map(([id, error]) => [id, error.code])).toEqual([
      ['alpha:bridge', 'frr/rejected'],
      ['alpha:port', 'frr/rejected'],
    ]);
  });

  it('proposes a plan that names each wanted kind which it could not look at, and no other', async () => {
    const box = createModelBox([bridge]);
    box.deaf.add('alpha');
    box.deaf.add('gamma');
    const proposal = await reconcilerOf(box).plan([bridge, modelItem('beta', 'new', 1)], signal);
    expect(proposal.steps.map(({ op }) => op)).toEqual(['create']);
    expect([...proposal.unobserved.keys()]).toEqual(['alpha']);
  });

  it('names what is still to do where a driver only says that it was done', async () => {
    const box = createModelBox();
    const { drivers } = box;
    const lying = {
      ...drivers.beta,
      create: async () => [{ id: modelItem('beta', 'x', 1).id, ok: true } as const],
    };
    const reconciler = createReconciler({ drivers: { ...drivers, beta: lying }, clock, log });
    const report = await reconciler.converge([modelItem('beta', 'x', 1)], signal);
    expect([...report.failures.values()][0]).toMatchObject({
      code: 'reconcile/not-converged',
      message: expect.stringContaining('+ beta:x value=1'),
    });
  });

  it('sees what a change did beside itself, where a driver tells everything whatever was asked', async () => {
    const [wanted, uncalledFor] = [modelItem('beta', 'wanted', 1), modelItem('beta', 'uncalled-for', 1)];
    const lookAfter = async (observesWhole?: true) => {
      const box = createModelBox();
      const { drivers } = box;
      const create: typeof drivers.beta.create = (items, abort) => {
        box.step({ op: 'create', item: uncalledFor });
        return drivers.beta.create(items, abort);
      };
      const beta = { ...drivers.beta, create, ...(observesWhole === undefined ? {} : { observesWhole }) };
      await createReconciler({ drivers: { ...drivers, beta }, clock, log }).converge([wanted], signal);
      return box.render();
    };
    expect(await lookAfter(true)).toEqual(['beta:wanted=1']);
    // Without, the next run would find it.
    expect(await lookAfter()).toEqual(['beta:uncalled-for=1', 'beta:wanted=1']);
  });

  it('keeps what a failed delete still stands on', async () => {
    const box = createModelBox([bridge, port]);
    const { drivers } = box;
    const stuck = { ...drivers.alpha };
    stuck.delete = async (items, abort) => {
      if (items.some(({ id }) => id === port.id)) throw new Error('device busy');
      return drivers.alpha.delete(items, abort);
    };
    const reconciler = createReconciler({ drivers: { ...drivers, alpha: stuck }, clock, log });
    const report = await reconciler.converge([], signal);
    expect(box.render()).toEqual(['alpha:bridge=1', 'alpha:port=1']);
    expect([...report.failures].map(([id, error]) => [id, error.code])).toEqual([
      ['alpha:port', 'internal'],
      ['alpha:bridge', 'reconcile/blocked'],
    ]);
  });

  it('stops where it is told to', async () => {
    const controller = new AbortController();
    const box = createModelBox();
    const { drivers } = box;
    const beta = { ...drivers.beta };
    beta.create = async (items, abort) => {
      controller.abort(new Error('superseded'));
      return drivers.beta.create(items, abort);
    };
    const reconciler = createReconciler({ drivers: { ...drivers, beta }, clock, log });
    const first = modelItem('beta', 'first', 1);
    const then = modelItem('gamma', 'then', 1, [first.id]);
    await expect(reconciler.converge([first, then], controller.signal)).rejects.toThrow('superseded');
    expect(box.render()).toEqual(['beta:first=1']);
  });
});
