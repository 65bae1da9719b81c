/**
 * Owns what a provider's router is told: dnsmasq's configuration (addresses, option 143, names) and its NAT.
 * Pure. Does not own its links (wiring.ts) nor faults (faults.ts).
 */
import { networkOf, splitCidr } from '../model/addresses.ts';
import { macOf } from '../model/ids.ts';
import { networkOfUplink, type Topology } from './topology.ts';

type Provider = Topology['providers'][number];

export function renderDnsmasq(topology: Topology, provider: Provider): string {
  const lines = [
    '# A provider of the lab: addresses by DHCP, the bootstrap server by option 143, names.',
    'no-resolv',
    'no-hosts',
    'user=root',
    'bind-dynamic',
    'dhcp-authoritative',
    // dnsmasq pings an address before it offers it, which costs every first lease 3 s.
    'no-ping',
    'dhcp-leasefile=/var/lib/dnsmasq.leases',
    'log-facility=-',
    'log-dhcp',
    ...Object.entries(topology.dns).map(([name, address]) => `host-record=${name},${address}`),
  ];
  for (const { name, router, dhcp } of provider.networks) {
    lines.push(`interface=${name}`);
    if (dhcp === undefined) continue;
    const { address } = splitCidr(router);
    lines.push(
      `dhcp-range=set:${name},${dhcp.first},${dhcp.last},${maskOf(router)},${topology.dhcp.leaseSeconds}s`,
      `dhcp-option=tag:${name},option:router,${address}`,
      `dhcp-option=tag:${name},option:dns-server,${address}`,
    );
  }
  const { bootstrapServers } = topology.dhcp;
  if (bootstrapServers.length > 0) lines.push(`dhcp-option=143,${encodeOption143(bootstrapServers)}`);
  for (const node of topology.nodes) {
    for (const uplink of node.uplinks) {
      if (uplink.reserved === undefined || networkOfUplink(topology, uplink).provider !== provider.name)
        continue;
      lines.push(`dhcp-host=${macOf(`${node.name}.${uplink.port}`)},${uplink.reserved}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** RFC 8572 section 8.1: each URI after its length in two bytes; colon-separated hex, as dnsmasq reads bytes. */
export function encodeOption143(uris: readonly string[]): string {
  const parts = uris.map((uri) => {
    const bytes = Buffer.from(uri, 'utf8');
    const length = Buffer.alloc(2);
    length.writeUInt16BE(bytes.length);
    return Buffer.concat([length, bytes]);
  });
  return (Buffer.concat(parts).toString('hex').match(/../g) ?? []).join(':');
}

/** Empty where the provider has no network behind NAT. */
export function renderNat(provider: Provider): string {
  const hidden = provider.networks.filter(({ nat }) => nat !== undefined);
  if (hidden.length === 0) return '';
  const outgoing = hidden.map(
    ({ name, router, nat }) => `    ip saddr ${networkOf(router)} oifname != "${name}" snat to ${nat}`,
  );
  const incoming = hidden.map(
    ({ name }) => `    iifname != "${name}" oifname "${name}" ct state != { established, related } drop`,
  );
  return [
    'table ip provider {',
    '  chain outgoing {',
    '    type nat hook postrouting priority srcnat',
    ...outgoing,
    '  }',
    '  chain unasked {',
    '    type filter hook forward priority filter',
    ...incoming,
    '  }',
    '}',
    '',
  ].join('\n');
}

function maskOf(cidr: string): string {
  const { prefixLength } = splitCidr(cidr);
  const bits = prefixLength === 0 ? 0 : (0xffff_ffff << (32 - prefixLength)) >>> 0;
  return [24, 16, 8, 0].map((shift) => (bits >>> shift) & 0xff).join('.');
}
