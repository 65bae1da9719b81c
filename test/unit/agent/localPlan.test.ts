/** What `branchbox plan` says where a part of the box cannot be looked at: that, and never that there is nothing to do. */
import { expect, it } from 'vitest';
import { readLocalPlan } from '../../../src/agent/localStatus.ts';
import { BranchboxError } from '../../../src/model/errors.ts';
import { LocalPlan } from '../../../src/model/localStatus.ts';

const { signal } = new AbortController();
const laneOf = (unobserved: readonly (readonly [string, BranchboxError])[]) => ({
  name: 'net',
  owns: () => true,
  converge: () => Promise.reject(new Error('a plan applies nothing')),
  plan: () => Promise.resolve({ steps: [], blocked: [], unobserved: new Map(unobserved) }),
});
const planOf = async (...unobserved: Parameters<typeof laneOf>[0][number][]) =>
  LocalPlan.parse(
    await readLocalPlan({ net: laneOf([]), all: [laneOf([]), laneOf(unobserved)] }, [], signal),
  );

it('is empty where all was seen and is as wanted', async () => {
  expect(await planOf()).toEqual({
    empty: true,
    steps: [],
    blocked: [],
    unseen: [],
    text: 'nothing to do',
  });
});

it('names the kind that could not be seen, and why', async () => {
  const error = new BranchboxError('frr/unreachable', { message: 'zebra does not answer.' });
  const plan = await planOf(['frr', error]);
  expect(plan).toMatchObject({
    empty: false,
    unseen: [{ kind: 'frr', reason: 'zebra does not answer.' }],
  });
  expect(plan.text).toBe('? frr cannot be seen: zebra does not answer.');
});
