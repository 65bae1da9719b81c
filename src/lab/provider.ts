/**
 * Owns what a provider's router is told: dnsmasq's configuration (addresses, bootstrap servers, names) and its NAT.
 * Pure. Does not own its links (wiring.ts) nor faults (faults.ts).
 */
import { networkOf, splitCidr } from '../model/addresses.ts';
import { macOf } from '../model/ids.ts';
import { ipv6NetworkOf } from '../model/prefixes.ts';
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
    ...Object.entries(topology.dns).map(
      ([name, addresses]) => `host-record=${[name, addresses].flat().join(',')}`,
    ),
  ];
  if (provider.networks.some(({ advertise }) => advertise)) lines.push('enable-ra');
  for (const { name, router, dhcp, router6, advertise } of provider.networks) {
    lines.push(`interface=${name}`);
    if (router6 !== undefined && advertise) {
      const { address, prefixLength } = splitCidr(router6);
      lines.push(
        `dhcp-range=set:${name},${splitCidr(ipv6NetworkOf(router6)).address},ra-stateless,${prefixLength},${topology.dhcp.leaseSeconds}s`,
        `dhcp-option=tag:${name},option6:dns-server,[${address}]`,
      );
    }
    if (dhcp === undefined || router === undefined) continue;
    const { address } = splitCidr(router);
    lines.push(
      `dhcp-range=set:${name},${dhcp.first},${dhcp.last},${maskOf(router)},${topology.dhcp.leaseSeconds}s`,
      `dhcp-option=tag:${name},option:router,${address}`,
      `dhcp-option=tag:${name},option:dns-server,${address}`,
    );
  }
  const { bootstrapServers, timeServers } = topology.dhcp;
  if (bootstrapServers.length > 0) {
    const encoded = encodeBootstrapServers(bootstrapServers);
    lines.push(`dhcp-option=143,${encoded}`, `dhcp-option=option6:136,${encoded}`);
  }
  if (timeServers.length > 0) lines.push(`dhcp-option=option:ntp-server,${timeServers.join(',')}`);
  for (const node of topology.nodes) {
    for (const uplink of node.uplinks) {
      if (uplink.reserved === undefined || networkOfUplink(topology, uplink).provider !== provider.name)
        continue;
      lines.push(`dhcp-host=${macOf(`${node.name}.${uplink.port}`)},${uplink.reserved}`);
    }
  }
  return `${lines.join('\n')}\n`;
}

/** RFC 8572 sections 8.1 and 8.2: each URI after its length in two bytes; colon-separated hex, as dnsmasq reads bytes. */
export function encodeBootstrapServers(uris: readonly string[]): string {
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
  const hidden = provider.networks.flatMap(({ name, router, nat }) =>
    router === undefined || nat === undefined ? [] : [{ name, router, nat }],
  );
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
