/** What `ip` and `bridge` print, and what they are told: captured from iproute2 6.15 on kernel 6.18. */
import { describe, expect, test } from 'vitest';
import { itemId } from '../../../src/model/ids.ts';
import { observedAddresses } from '../../../src/net/address.ts';
import { parseComplaints, runBatch } from '../../../src/net/batch.ts';
import { parseFdb } from '../../../src/net/fdb.ts';
import { address, link, route } from '../../../src/net/itemIds.ts';
import { createLinkDriver } from '../../../src/net/link.ts';
import { observedLinks, parseLinks } from '../../../src/net/linkRead.ts';
import { renderAdd, renderDelete, renderFinish, renderModify } from '../../../src/net/linkRender.ts';
import { parseRoutes, renderRoute } from '../../../src/net/route.ts';
import { parseRules, renderRule } from '../../../src/net/rule.ts';
import { createFakeBox } from '../../fakes/box.ts';

const SIGNAL = new AbortController().signal;
const NO_LINKS = { all: () => Promise.resolve([]), some: () => Promise.resolve([]) };

describe('ip', () => {
  test('addresses of ours alone', () => {
    const text =
      '[{"ifname":"a1","mtu":1500,"flags":[],"addr_info":[{"family":"inet","local":"10.0.0.1","prefixlen":24,"protocol":"0x62"},' +
      '{"family":"inet6","local":"fe80::1","prefixlen":64,"protocol":"0x3"},{"family":"inet","local":"10.9.0.1","prefixlen":24}]}]';
    expect(observedAddresses(parseLinks(text))).toEqual([
      address({ link: 'a1', address: '10.0.0.1/24' }, [itemId('link', 'a1')]),
    ]);
  });

  test('routes: defaults of both families, hosts, the main table, unreachable', () => {
    const text =
      '[{"dst":"default","gateway":"10.0.0.2","dev":"a1","table":"101","metric":5,"flags":[]},' +
      '{"type":"7","dst":"default","table":"101","metric":4294967295,"flags":[]},' +
      '{"dst":"10.8.0.1","gateway":"10.77.0.1","dev":"a1","flags":["onlink","linkdown"]},' +
      '{"type":"7","dst":"default","dev":"lo","table":"90","metric":9,"flags":[],"pref":"medium"}]';
    expect(parseRoutes(text).map((item) => item.spec)).toEqual([
      { table: 101, destination: '0.0.0.0/0', type: 'unicast', metric: 5, via: '10.0.0.2', dev: 'a1' },
      { table: 101, destination: '0.0.0.0/0', type: 'unreachable', metric: 4_294_967_295 },
      {
        table: 254,
        destination: '10.8.0.1/32',
        type: 'unicast',
        metric: 0,
        via: '10.77.0.1',
        dev: 'a1',
        onlink: true,
      },
      { table: 90, destination: '::/0', type: 'unreachable', metric: 9 },
    ]);
    expect(parseRoutes('')).toEqual([]);
  });

  test('a route is taken away by what the kernel finds it by', () => {
    const spec = { table: 101, destination: '0.0.0.0/0', type: 'unicast', metric: 5 } as const;
    const full = { ...spec, via: '10.0.0.2', dev: 'a1', source: '10.0.0.1', onlink: true };
    expect(renderRoute('replace', full)).toBe(
      'route replace 0.0.0.0/0 table 101 metric 5 proto 98 via 10.0.0.2 dev a1 src 10.0.0.1 onlink',
    );
    expect(renderRoute('del', full)).toBe(
      'route del 0.0.0.0/0 table 101 metric 5 proto 98 via 10.0.0.2 dev a1',
    );
    expect(() => renderRoute('add', { ...spec, destination: '::/0', metric: 0 })).toThrow('needs a metric');
  });

  test('rules of ours alone', () => {
    const text =
      '[{"priority":0,"src":"all","table":"255"},{"priority":1000,"src":"10.0.0.0","srclen":8,"dst":"10.255.0.0","dstlen":16,"table":"90","protocol":"98"},' +
      '{"priority":1201,"src":"all","fwmark":"0x101","action":"7","protocol":"98"},{"priority":32766,"src":"all","table":"254"}]';
    const specs = parseRules(text, '-4').map((item) => item.spec);
    expect(specs.map((spec) => renderRule('add', spec))).toEqual([
      'rule add pref 1000 from 10.0.0.0/8 to 10.255.0.0/16 lookup 90 protocol 98',
      'rule add pref 1201 fwmark 0x101 unreachable protocol 98',
    ]);
  });

  test('links: ours by alias, or by the group of one that was not finished; never by name', () => {
    const bridgeData =
      '"info_kind":"bridge","info_data":{"stp_state":0,"forward_delay":0,"mcast_snooping":0}';
    const text =
      `[{"ifname":"br-1","mtu":1390,"flags":["UP"],"ifalias":"branchbox:link:br-1","address":"02:00:00:00:00:01","linkinfo":{${bridgeData}}},` +
      `{"ifname":"br-2","mtu":1390,"flags":[],"group":"98","linkinfo":{${bridgeData}}},` +
      `{"ifname":"br-3","mtu":1390,"flags":[],"ifalias":"branchbox:link:br-1","linkinfo":{${bridgeData}}},` +
      `{"ifname":"br-4","mtu":1390,"flags":[],"linkinfo":{"info_kind":"vlan","info_data":{"id":7}}}]`;
    const links = parseLinks(text);
    expect(observedLinks(links, new Set(['br-1'])).map((item) => item.spec)).toEqual([
      { type: 'bridge', name: 'br-1', mtu: 1390, macAddress: '02:00:00:00:00:01' },
      { type: 'bridge', name: 'br-2', mtu: 1390, drift: ['down', 'no alias'] },
    ]);
  });

  test('lines of links', () => {
    const kernel = { type: 'wireguard', name: 'wg-a', mtu: 1440, implementation: 'kernel' } as const;
    expect([
      renderAdd(kernel),
      ...renderFinish(kernel),
      ...renderModify(kernel, 1440),
      ...renderDelete(kernel),
    ]).toEqual([
      'link add name wg-a group 98 mtu 1440 type wireguard',
      'link set dev wg-a alias branchbox:link:wg-a addrgenmode none',
      'link set dev wg-a up',
      'link set dev wg-a alias branchbox:link:wg-a group 98 mtu 1440 addrgenmode none up',
      'link delete dev wg-a',
    ]);
    expect(() => renderAdd({ ...kernel, name: 'a b' })).toThrow('interface name');
  });

  test('a VLAN, as it is made and as the kernel shows it', () => {
    const spec = { type: 'vlan', name: 'wan1.7', parent: 'wan1', vlan: 7, mtu: 1500 } as const;
    const set = 'link set dev wan1.7 alias branchbox:link:wan1.7 mtu 1500 up';
    expect([
      renderAdd(spec),
      ...renderFinish(spec),
      ...renderModify(spec, 1500),
      ...renderDelete(spec),
    ]).toEqual([
      'link add name wan1.7 group 98 link wan1 mtu 1500 type vlan protocol 802.1Q id 7',
      set,
      set,
      'link delete dev wan1.7',
    ]);
    expect(() => renderAdd({ ...spec, vlan: 4095 })).toThrow('a number');
    const shown = (protocol: string) =>
      `[{"ifname":"wan1.7","link":"wan1","mtu":1500,"flags":["UP"],"ifalias":"branchbox:link:wan1.7",` +
      `"linkinfo":{"info_kind":"vlan","info_data":{"protocol":"${protocol}","id":7,"flags":["REORDER_HDR"]}}}]`;
    const [found, other] = ['[33024]', '[34984]'].map(
      (protocol) => observedLinks(parseLinks(shown(protocol)), new Set())[0],
    );
    expect(found).toEqual(link(spec, [itemId('link', 'wan1')]));
    expect(other?.spec.drift).toEqual(['vlan protocol']);
    const { needsRecreate } = createLinkDriver({ ...createFakeBox().system, links: NO_LINKS });
    const to = link(spec);
    expect(
      [
        other,
        link({ ...spec, vlan: 8 }),
        link({ ...spec, parent: 'wan2' }),
        link({ ...spec, mtu: 1496 }),
      ].map((from) => from !== undefined && needsRecreate(from, to)),
    ).toEqual([true, true, true, false]);
  });

  test('complaints find their item, and a tool that gave up fails the whole batch', async () => {
    const stderr =
      'Cannot find device "nope"\nCommand failed -:2\nError: Unknown device type.\nCommand failed -:3\n';
    expect(parseComplaints(stderr)).toEqual([
      { line: 2, words: 'Cannot find device "nope"' },
      { line: 3, words: 'Unknown device type.' },
    ]);
    const items = ['a', 'b', 'c'].map((name) => ({ id: itemId('link', name) }));
    const outcomes = async (exitCode: number) =>
      (
        await runBatch({
          runner: { run: () => Promise.resolve({ exitCode, stdout: '', stderr }) },
          tool: { command: 'ip' },
          items,
          render: (item) => [`link set dev ${item.id} up`],
          signal: SIGNAL,
        })
      ).map((outcome) => (outcome.ok ? 'ok' : outcome.error.code));
    expect(await outcomes(1)).toEqual(['ok', 'net/kernel', 'net/unsupported']);
    expect(await outcomes(255)).toEqual(['net/kernel', 'net/kernel', 'net/unsupported']);
  });

  test('static entries of our bridges, not what FRR learned', () => {
    const text =
      '[{"mac":"02:00:00:00:00:01","ifname":"app-1","flags":[],"master":"br-1","state":"static"},' +
      '{"mac":"02:00:00:00:00:02","ifname":"vx-1","flags":["extern_learn"],"master":"br-1","state":"static"},' +
      '{"mac":"02:00:00:00:00:03","ifname":"eth7","flags":[],"master":"docker0","state":"static"}]';
    expect(parseFdb(text, new Set(['br-1'])).map((item) => item.id)).toEqual(['fdb:app-1/02:00:00:00:00:01']);
  });

  test('dumps that are not understood are named', () => {
    expect(() => parseRoutes('[{"dst":7}]')).toThrow('ip route printed what is not understood');
    expect(() => parseLinks('Segmentation fault')).toThrow('printed no JSON');
    expect(route({ table: 1, destination: '10.0.0.0/8', type: 'unreachable', metric: 1 }).id).toBe(
      'route:1/10.0.0.0/8/1',
    );
  });
});
