/** Which family a path takes below the tunnel, where gateways have IPv4, IPv6 or both. */
import { describe, expect, it } from 'vitest';
import { inputs, KEYS, specOf } from './designing.ts';
import { branch, fleetOf, hub, publicKey } from './fixtures.ts';

describe('a path of either family', () => {
  const six = { ipv4: 'none', ipv6: 'auto' } as const;
  const fleet = fleetOf(
    [
      {
        ...hub('hub', '10.255.0.1'),
        uplinks: [
          {
            name: 'internet',
            port: 'wan1',
            static6: { address: '2001:db8:a::20/64', gateway: 'fe80::1' },
            publicAddress: '198.51.100.20',
            publicAddress6: '2001:db8:a::20',
          },
          { name: 'lte', port: 'wan2', publicAddress: '203.0.113.20' },
        ],
      },
      branch('branch1', '10.255.0.11'),
      { ...branch('branch2', '10.255.0.12'), uplinks: [{ name: 'internet', port: 'wan1', ...six }] },
      {
        ...branch('branch3', '10.255.0.13'),
        uplinks: [{ name: 'internet', port: 'wan1', ipv6: 'auto' }],
      },
    ],
    { tenantMtu: 1370 },
  );
  const from = inputs(fleet, { publicKeys: new Map([...KEYS, ['branch3', publicKey(4)]]) });
  const endpointsOf = (id: string) =>
    specOf(id, from).tunnels.map((t) => [t.id, t.peers[0]?.endpoint?.address]);

  it('goes over IPv6 from a branch that has nothing else, and over IPv4 from the others', () => {
    expect(endpointsOf('branch2')).toEqual([['internet-hub-internet', '2001:db8:a::20']]);
    expect(endpointsOf('branch3')).toEqual([
      ['internet-hub-internet', '198.51.100.20'],
      ['internet-hub-lte', '203.0.113.20'],
    ]);
    expect(endpointsOf('branch1')).toHaveLength(4);
  });

  it('has two ends: a hub has no peer where none could call', () => {
    const peers = specOf('hub', from).tunnels.map((t) => [t.id, t.peers.map((p) => p.gatewayId)]);
    expect(peers).toEqual([
      ['internet-slot1', ['branch1', 'branch2', 'branch3']],
      ['internet-slot2', ['branch1']],
      ['lte-slot1', ['branch1', 'branch3']],
      ['lte-slot2', ['branch1']],
    ]);
  });

  it('tells each box its own families', () => {
    expect(specOf('branch2', from).uplinks[0]).toMatchObject({
      addressing: { kind: 'none' },
      addressing6: { kind: 'auto' },
    });
    expect(specOf('hub', from).uplinks[0]).toMatchObject({
      addressing: { kind: 'dhcp' },
      addressing6: { kind: 'static', address: '2001:db8:a::20/64', gateway: 'fe80::1' },
    });
    expect(specOf('branch1', from).uplinks[0]).not.toHaveProperty('addressing6');
  });
});
