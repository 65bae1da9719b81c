/** What a test of an uplink is about in each family: one of them, with what can be asked from its address. */
import { expect, it } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { type Known, planSubjects } from '../../../src/wan/uplinkTest/subject.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';

const KEY = `${'A'.repeat(42)}A=`;
const four = {
  ifname: 'wan1',
  address: '198.51.100.7/24',
  gateway: '198.51.100.1',
  dns: ['198.51.100.53', '2001:db8::54'],
  bootstrapServers: ['https://four.example'],
};
const six = {
  ifname: 'wan1',
  address: '2001:db8::7/64',
  gateway: 'fe80::1',
  dns: ['2001:db8::53'],
  bootstrapServers: ['https://six.example'],
};
const bare = factsOf(KEY);
const spec = specOf('branch1', { hub: KEY, branch1: KEY, branch2: KEY });
const withFirst = (more: Partial<DesiredSpec['uplinks'][number]>): DesiredSpec => ({
  ...spec,
  uplinks: spec.uplinks.map((uplink, i) => (i === 0 ? { ...uplink, ...more } : uplink)),
});
const known = (wanted: DesiredSpec | undefined, facts: Known['facts']): Known => ({
  spec: wanted,
  facts,
  network: undefined,
  builtIn: ['https://built-in.example'],
  owner: undefined,
});
const first = (wanted: DesiredSpec | undefined, more: object) =>
  planSubjects(known(wanted, { ...bare, ...more }), {})[0];

it('is IPv4 where there is some, and asks the DNS servers of that', () => {
  const both = withFirst({ addressing: { kind: 'dhcp' }, addressing6: { kind: 'auto' } });
  expect(first(both, { leases: [four], leases6: [six] })).toMatchObject({
    address: '198.51.100.7/24',
    gateway: '198.51.100.1',
    dns: ['198.51.100.53'],
    dhcp: true,
  });
});

it('is IPv6 where there is nothing else', () => {
  const both = withFirst({ addressing: { kind: 'dhcp' }, addressing6: { kind: 'auto' } });
  const alone = withFirst({ addressing: { kind: 'none' }, addressing6: { kind: 'auto' } });
  const found = { address: '2001:db8::7/64', gateway: 'fe80::1', dns: ['2001:db8::53'], dhcp: true };
  expect(first(both, { leases6: [six] })).toMatchObject(found);
  expect(first(alone, { leases: [four], leases6: [six] })).toMatchObject(found);
  const { address, gateway, dns } = six;
  const fixed = withFirst({
    addressing: { kind: 'none' },
    addressing6: { kind: 'static', address, gateway, dns: [...dns, '198.51.100.53'] },
  });
  expect(first(fixed, {})).toMatchObject({ ...found, dhcp: false });
});

it('goes through the proxy that a bootstrap medium named, with and without a desired state', () => {
  const proxy = { host: '192.0.2.3', port: 3128 };
  const network = { schema: 1, addressing: { kind: 'dhcp' }, proxy, bootstrapServers: [] } as const;
  for (const wanted of [spec, undefined]) {
    const own = { ...known(wanted, bare), network: { ...network, bootstrapServers: [] } };
    const [planned] = planSubjects(own, {});
    expect(planned?.proxy).toEqual(proxy);
  }
});

it('before there is a desired state knows the servers that either family named', () => {
  const hosts = (more: object) => first(undefined, more)?.targets.map(({ host }) => host);
  expect(hosts({ leases: [four], leases6: [six] })).toEqual([
    'four.example',
    'six.example',
    'built-in.example',
  ]);
  expect(hosts({ leases6: [six] })).toEqual(['six.example', 'built-in.example']);
});

it('with an owner and no desired state yet is the way to that owner', () => {
  const owner = { host: 'controller.example', port: 8446 };
  const [planned] = planSubjects({ ...known(undefined, { ...bare, leases: [four] }), owner }, {});
  expect(planned?.targets).toEqual([owner]);
});

it('that has the address of another one is known by it', () => {
  const [one, two] = spec.uplinks.map((uplink) => ({ ...uplink, addressing: { kind: 'dhcp' } as const }));
  if (one === undefined || two === undefined) throw new Error('two uplinks are needed');
  const leases = [four, { ...four, ifname: 'wan2', address: '198.51.100.7/16' }];
  // However they are listed: of two rules that of the lower slot counts.
  for (const uplinks of [
    [one, two],
    [two, one],
  ]) {
    const planned = planSubjects(known({ ...spec, uplinks }, { ...bare, leases }), { uplink: two.name });
    expect(planned).toMatchObject([{ name: two.name, twin: one.name }]);
    expect(
      planSubjects(known({ ...spec, uplinks }, { ...bare, leases }), { uplink: one.name }),
    ).toMatchObject([{ twin: undefined }]);
  }
  const apart = [four, { ...four, ifname: 'wan2', address: '198.51.100.8/24' }];
  const none = planSubjects(known({ ...spec, uplinks: [one, two] }, { ...bare, leases: apart }), {});
  expect(none.map(({ twin }) => twin)).toEqual([undefined, undefined]);
  const without = planSubjects(known({ ...spec, uplinks: [one, two] }, { ...bare, leases: [] }), {});
  expect(without.map(({ twin }) => twin)).toEqual([undefined, undefined]);
});

it('of a static address does not have it from the provider, whatever gives it IPv6', () => {
  const { address, gateway } = four;
  const addressing = { kind: 'static', address, gateway, dns: [] } as const;
  const both = withFirst({ addressing: { ...addressing, dns: [] }, addressing6: { kind: 'auto' } });
  expect(first(both, { leases6: [six] })).toMatchObject({ address, dhcp: false });
});
