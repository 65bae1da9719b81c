/** The firewall as items, held against the cost of one more thing and what nobody named. */
import { expect, test } from 'vitest';
import { planFactoryUplinks } from '../../../src/wan/factory.ts';
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
  const changed = (spec: DesiredSpec) => {
    const after = new Map(render(spec).map((item) => [item.id, item]));
    return renderFactoryPolicy(planFactoryUplinks(appFacts(), undefined), appFacts(), { enrolled: true })
      .filter((item) => !sameSpec(item.spec, after.get(item.id)?.spec))
      .map(({ id }) => id);
  };
  // Chains that are empty without a fleet.
  const empty = ['nft-chain:inet/tunnel_input', 'nft-chain:inet/overlay_leak'];
  const { uplinks } = appSpec();
  const both = uplinks.map((uplink) => ({ ...uplink, addressing6: { kind: 'auto' } }) as const);
  expect(changed({ ...appSpec(), uplinks: both })).toEqual(empty);
  // Without IPv6 what a switch asks of its listeners is let in no more.
  expect(changed(appSpec())).toEqual(['nft-chain:inet/uplink_input', ...empty]);
});

test('who looks by SSH sends nothing, not even to a hub: judged before all else, from before the server runs', () => {
  const ssh = { keys: [], from: [] };
  const items = renderPolicy({ ...appSpec(), ssh }, appFacts(), 'branch1', { look: 922 });
  const output = items.find(({ id }) => id === 'nft-chain:inet/output');
  expect(output?.spec).toMatchObject({
    rules: ['meta skuid 922 drop', ...Array(2).fill(expect.any(String))],
  });
  expect(items.find(({ kind }) => kind === 'service')?.needs).toContain('nft-chain:inet/output');
});

test('an uplink with IPv6 lets in what neighbour discovery needs, and no error that nobody asked for', () => {
  const rulesOf = (spec: DesiredSpec) =>
    render(spec).flatMap((item) =>
      item.kind === 'nft-chain' && item.spec.name === 'uplink_input' ? item.spec.rules : [],
    );
  const spec = appSpec();
  const six: DesiredSpec = {
    ...spec,
    uplinks: spec.uplinks.map((uplink) => ({ ...uplink, addressing6: { kind: 'auto' } })),
  };
  const [icmpv6] = rulesOf(six).filter((rule) => rule.startsWith('icmpv6'));
  expect(icmpv6).toBe(
    'icmpv6 type { echo-request, nd-neighbor-solicit, nd-neighbor-advert, nd-router-advert, mld-listener-query } accept',
  );
  expect(rulesOf(spec).join()).not.toContain('mld');
});

test('whatever is not named is dropped on its way in and through', () => {
  const hooks = render(appSpec()).flatMap((item) =>
    item.kind === 'nft-chain' && item.spec.hook !== undefined
      ? [[item.spec.name, item.spec.hook.policy]]
      : [],
  );
  expect(Object.fromEntries(hooks)).toMatchObject({ input: 'drop', forward: 'drop' });
});
