/** The firewall as items, held against the cost of one more thing and what nobody named. */
import { expect, test } from 'vitest';
import { renderFactoryPolicy, renderPolicy } from '../../../src/policy/render.ts';
import { sameSpec } from '../../../src/reconcile/equal.ts';
import { planItems } from '../../../src/reconcile/plan.ts';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { appFacts, appSpec } from '../../lab/appSpec.ts';

const render = (spec: DesiredSpec) => renderPolicy(spec, appFacts(), 'branch1');
const steps = (from: DesiredSpec, to: DesiredSpec) =>
  planItems(render(to), [...gates, ...render(from)], () => false).steps;
const gates = ['nft-inet', 'nft-bridge'].map((feature) => ({
  kind: 'external' as const,
  id: `external:kernel/${feature}` as ReturnType<typeof render>[number]['id'],
  spec: { description: '' },
  needs: [],
  owner: 'external' as const,
}));

test('one more app costs one element', () => {
  const spec = appSpec();
  const more = { ...spec, apps: spec.apps.concat(spec.apps.map((app) => ({ ...app, name: 'two' }))) };
  expect(steps(spec, more).map((step) => step.op)).toEqual(['create']);
});

test('one more VNI of a branch costs the hub one element', () => {
  const hub = (vnis: number[]): DesiredSpec => ({
    ...appSpec(),
    role: 'hub',
    overlay: { reflectors: [], clients: [{ gatewayId: 'b', vtep: '10.255.0.12', vnis }] },
  });
  const [step, ...rest] = steps(hub([1]), hub([1, 10_020]));
  expect(rest).toEqual([]);
  expect(step).toMatchObject({ op: 'create', item: { spec: { key: '10.255.0.12 . 2565120' } } });
});

test('the firewall of the uplinks stays as it is when a factory-new box takes its first state on', () => {
  const after = new Map(render(appSpec()).map((item) => [item.id, item]));
  const changed = renderFactoryPolicy(appFacts(), { enrolled: true }).filter(
    ({ id, spec }) => !sameSpec(spec, after.get(id)?.spec),
  );
  // Chains that are empty without a fleet.
  expect(changed.map(({ id }) => id)).toEqual(['nft-chain:inet/tunnel_input', 'nft-chain:inet/overlay_leak']);
});

test('whatever is not named is dropped on its way in and through', () => {
  const hooks = render(appSpec()).flatMap((item) =>
    item.kind === 'nft-chain' && item.spec.hook !== undefined
      ? [[item.spec.name, item.spec.hook.policy]]
      : [],
  );
  expect(Object.fromEntries(hooks)).toMatchObject({ input: 'drop', forward: 'drop' });
});
