/** What a test of an uplink is about in each family: one of them, with what can be asked from its address. */
import { expect, it } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { planSubjects } from '../../../src/wan/uplinkTest/subject.ts';
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
const first = (wanted: DesiredSpec | undefined, more: object) =>
  planSubjects(wanted, { ...bare, ...more }, {}, [])[0];

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
    const [planned] = planSubjects(wanted, bare, {}, [], undefined, { ...network, bootstrapServers: [] });
    expect(planned?.proxy).toEqual(proxy);
  }
});

it('before there is a desired state knows the servers that either family named', () => {
  const hosts = (more: object) => first(undefined, more)?.targets.map(({ host }) => host);
  expect(hosts({ leases: [four], leases6: [six] })).toEqual(['four.example', 'six.example']);
  expect(hosts({ leases6: [six] })).toEqual(['six.example']);
});
