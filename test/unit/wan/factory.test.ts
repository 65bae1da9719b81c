/** Owns the rules of what a box holds before its first desired state, by itself or by a bootstrap medium. */
import { describe, expect, it } from 'vitest';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import { BootstrapNetwork } from '../../../src/model/medium.ts';
import { missingGateSentence } from '../../../src/net/gates.ts';
import { planFactoryUplinks, renderFactory } from '../../../src/wan/factory.ts';
import { renderWan } from '../../../src/wan/render.ts';
import { facts, lease, session1, byDhcp, lease6, inBoth, kinds } from './branchCase.ts';

describe('renderFactory', () => {
  it('is what a desired state of DHCP uplinks in the same slots has, so that taking one on moves nothing', () => {
    const withLeases = { ...facts, leases: [lease], leases6: [lease6] };
    const desired = new Map(renderWan(inBoth(), withLeases).map((item) => [item.id, item]));
    const factory = renderFactory(withLeases);
    for (const item of factory) expect(desired.get(item.id)).toEqual(item);
    expect(factory.map(({ id }) => id)).toContain('route:101/::/0/10');
    // Of IPv4 alone: nothing of IPv6 stays, and the rest moves as little.
    const four = new Map(renderWan(byDhcp(), withLeases).map((item) => [item.id, item]));
    for (const item of factory) {
      if (/ipv6|::|dhcpcd6@/.test(item.id)) expect(four.has(item.id), item.id).toBe(false);
      else expect(four.get(item.id)).toEqual(item);
    }
  });

  it('waits for no IPv6 that nobody offers', () => {
    const waiting = renderFactory(facts).flatMap(({ needs }) => needs);
    expect(waiting).toContain('external:lease/wan1');
    expect(waiting).not.toContain('external:lease6/wan1');
  });

  it('is, of the port that a bootstrap medium names, what the medium says', () => {
    const addressing = {
      kind: 'static',
      address: '192.0.2.5/28',
      gateway: '192.0.2.1',
      dns: [],
    } as const satisfies BootstrapNetwork['addressing'];
    const network: BootstrapNetwork = {
      schema: 1,
      port: 'wan2',
      addressing: { ...addressing, dns: [] },
      bootstrapServers: [],
    };
    const items = renderFactory(facts, network);
    expect(kinds(items, 'address').map(({ spec }) => spec)).toEqual([
      { link: 'wan2', address: '192.0.2.5/28' },
    ]);
    expect(kinds(items, 'service').map(({ spec }) => spec.unit)).toEqual([
      'dhcpcd@wan1.service',
      'dhcpcd6@wan1.service',
      'dhcpcd6@wan2.service',
    ]);
    const byTable = kinds(items, 'route').filter(({ spec }) => spec.table === 102);
    expect(byTable.map(({ spec }) => spec.via)).toContain('192.0.2.1');
  });

  it('has the IPv6 address that a medium names without a client for it, and IPv4 as ever', () => {
    const addressing6 = {
      kind: 'static',
      address: '2001:db8:5::5/64',
      gateway: 'fe80::1',
      dns: [],
    } as const;
    const network: BootstrapNetwork = {
      schema: 1,
      addressing: { kind: 'dhcp' },
      addressing6: { ...addressing6, dns: [] },
      bootstrapServers: [],
    };
    const items = renderFactory(facts, network);
    expect(kinds(items, 'address').map(({ spec }) => spec)).toEqual([
      { link: 'wan1', address: '2001:db8:5::5/64' },
    ]);
    expect(kinds(items, 'service').map(({ spec }) => spec.unit)).toEqual([
      'dhcpcd@wan1.service',
      'dhcpcd@wan2.service',
      'dhcpcd6@wan2.service',
    ]);
    expect(kinds(items, 'route').find(({ id }) => id === 'route:101/::/0/10')?.spec.via).toBe('fe80::1');
    // On a VLAN not on the bare port.
    const onVlan = kinds(renderFactory(facts, { ...network, vlan: 7 }), 'address');
    expect(onVlan.map(({ spec }) => spec.link)).not.toContain('wan1');
    expect(onVlan).toHaveLength(1);
  });

  it('is on the VLAN that a bootstrap medium names, and asks nothing of the bare port', () => {
    const network: BootstrapNetwork = {
      schema: 1,
      vlan: 7,
      addressing: { kind: 'dhcp' },
      bootstrapServers: [],
    };
    const found = renderFactory({ ...facts, leases: [{ ...lease, ifname: 'wan1.7' }] }, network);
    expect(found.find(({ id }) => id === 'link:wan1.7')).toMatchObject({
      spec: { type: 'vlan', name: 'wan1.7', parent: 'wan1', vlan: 7, mtu: 1500 },
      needs: ['link:wan1', 'external:kernel/vlan'],
    });
    const asks = kinds(found, 'service').map(({ spec, needs }) => [spec.unit, needs]);
    expect(asks).toEqual([
      ['dhcpcd@wan1.7.service', ['link:wan1.7']],
      ['dhcpcd6@wan1.7.service', ['link:wan1.7']],
      ['dhcpcd@wan2.service', ['link:wan2']],
      ['dhcpcd6@wan2.service', ['link:wan2']],
    ]);
    const devices = kinds(found, 'route').map(({ spec }) => spec.dev);
    expect(devices).toContain('wan1.7');
    expect(devices).not.toContain('wan1');
  });

  it('is a PPPoE session where a bootstrap medium says so, over the VLAN that it names', () => {
    const network = BootstrapNetwork.parse({
      schema: 1,
      vlan: 7,
      addressing: { kind: 'pppoe', user: 'u', password: 'p' },
    });
    const session = 'service:pppoe@ppp-wan1.service';
    const without = renderFactory(facts, network);
    expect(without.find(({ id }) => id === session)?.needs).toEqual(['link:wan1.7', 'external:kernel/ppp']);
    const defaults = kinds(without, 'route').filter(({ spec }) => spec.dev === 'ppp-wan1');
    expect(defaults.map(({ needs }) => needs)).toEqual(
      defaults.map(() => [session, 'external:pppoe/ppp-wan1']),
    );
    expect(missingGateSentence('external:pppoe/ppp-wan1')).toContain('user and password');
    // No IPv6 is asked for in it, and none beside it.
    expect(kinds(without, 'service').map(({ spec }) => spec.unit)).toEqual([
      'pppoe@ppp-wan1.service',
      'dhcpcd@wan2.service',
      'dhcpcd6@wan2.service',
    ]);

    const found = renderFactory({ ...facts, leases: [session1] }, network);
    const routes = kinds(found, 'route').filter(({ spec }) => spec.dev === 'ppp-wan1');
    // By the link alone: nobody else is at its other end.
    const way = {
      destination: '0.0.0.0/0',
      type: 'unicast',
      dev: 'ppp-wan1',
      source: '203.0.113.50',
      metric: 10,
    };
    expect(routes.map(({ spec }) => spec)).toEqual([
      { ...way, table: 101 },
      { ...way, table: 99 },
    ]);
    expect(routes.map(({ needs }) => needs)).toEqual([[session], [session]]);
    expect(found.map(({ id }) => id)).toContain('rule:1301/from-203.0.113.50');
  });

  it('dials a modem last, by no APN or by that of a medium, and never the words of a wired line', () => {
    const modem = { label: 'modem1', role: 'wan', ifname: 'wwan0', carrier: true, modem: true } as const;
    const withModem = { ...facts, ports: [modem, ...facts.ports] };
    const planned = (addressing?: object) =>
      planFactoryUplinks(withModem, addressing && BootstrapNetwork.parse({ schema: 1, addressing })).map(
        (one) => [one.port, one.addressing.kind, one.metered, one.addressing6?.kind],
      );
    const wired = [
      ['wan1', 'dhcp', false, 'auto'],
      ['wan2', 'dhcp', false, 'auto'],
    ];
    expect(planned()).toEqual([['modem1', 'modem', true, undefined], ...wired]);
    expect(planned({ kind: 'modem', apn: 'a', pin: '4711' })).toEqual(planned());
    expect(planned({ kind: 'pppoe', user: 'u', password: 'p' })[1]).toEqual([
      'wan1',
      'pppoe',
      false,
      undefined,
    ]);
    // No item knows a word of it, and nothing is up before it is dialled.
    const network = BootstrapNetwork.parse({ schema: 1, addressing: { kind: 'modem', pin: '4711' } });
    const items = renderFactory(withModem, network);
    expect(JSON.stringify(items)).not.toContain('4711');
    expect(items.map(({ id }) => id)).not.toContain('link:wwan0');
    expect(missingGateSentence('external:modem/wwan0')).toContain('branchbox status');
    for (const more of [
      { vlan: 7 },
      { addressing6: { kind: 'static', address: '2001:db8::5/64', gateway: 'fe80::1' } },
    ])
      expect(BootstrapNetwork.safeParse({ schema: 1, addressing: { kind: 'modem' }, ...more }).success).toBe(
        false,
      );
  });

  it('is what a desired state of the same line has, so that taking one on redials nothing', () => {
    const pppoe = BootstrapNetwork.parse({
      schema: 1,
      vlan: 7,
      addressing: { kind: 'pppoe', user: 'u', password: 'p' },
    });
    const withLeases = { ...facts, leases: [session1] };
    const spec = inBoth();
    const lines: DesiredSpec = {
      ...spec,
      uplinks: spec.uplinks.map((u, i) =>
        i > 0 ? u : { ...u, vlan: 7, addressing: { kind: 'pppoe' }, addressing6: undefined },
      ),
    };
    const desired = new Map(renderWan(lines, withLeases).map((item) => [item.id, item]));
    const factory = renderFactory(withLeases, pppoe).filter(({ id }) => !id.includes('::/0'));
    for (const item of factory) expect(desired.get(item.id)).toEqual(item);
  });

  it("names a VLAN on a port of a long name within the kernel's 15 characters", () => {
    const ports = [{ label: 'wan1', role: 'wan', ifname: 'enx001122334455', carrier: true } as const];
    const network: BootstrapNetwork = {
      schema: 1,
      vlan: 4094,
      addressing: { kind: 'dhcp' },
      bootstrapServers: [],
    };
    const [, made] = kinds(renderFactory({ ...facts, ports }, network), 'link');
    expect(made?.spec.name).toMatch(/^vlan-[0-9a-z]{7}$/);
  });
});
