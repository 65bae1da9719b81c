/**
 * IPv6 of a WAN port as a provider gives it: the real client with its hook, against real router advertisements and a
 * real DHCPv6 server that names a bootstrap server (option 136) and a captive portal (option 103); that of IPv4 (114).
 */
import { mkdirSync } from 'node:fs';
import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { Lease6 } from '../../src/model/facts.ts';
import { readLeasePortals } from '../../src/system/leases.ts';
import { parseLease6 } from '../../src/system/leases6.ts';
import { createDhcpLine, type DhcpLine, sh, untilChanged } from './dhcpLine.ts';
import { quietRootTree } from './quietRootTree.ts';

const URI = 'https://controller.branchbox.example:8443';
const ASK = join(import.meta.dirname, 'askName.ts');
const PORTAL = 'https://portal.hotel.example/api';
let tree: string;
let line: DhcpLine;

const routerAddress = (): string =>
  /inet6 (fe80::\S+)\/64/.exec(sh(`ip -n ${line.provider} -6 address show dev p0 scope link`))?.[1] ?? '';
/** RFC 8572 8.3: length in two bytes, then the URI. */
const option136 = (): string => {
  const bytes = [URI.length >> 8, URI.length & 255, ...Buffer.from(URI)];
  return hex(bytes);
};
const hex = (bytes: Iterable<number>): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join(':');
/** What the hook left of captive portals, as the identity process reads it. */
const portals = async (family: 4 | 6): Promise<readonly (readonly [string, string])[]> => [
  ...(await readLeasePortals(
    {
      list: (path) => readdir(path),
      readText: (path) => readFile(path, 'utf8'),
    },
    family,
    join(line.directory, 'leases'),
  )),
];

/** Both daemons in one mount namespace; what the hook leaves is at `leases` of the line's directory. */
function start(family: 4 | 6, ...dnsmasq: readonly string[]): void {
  const conf = family === 4 ? 'dhcpcd.conf' : 'dhcpcd6.conf';
  // Where names are told, it is a DNS server too.
  const port = dnsmasq.some((word) => word.startsWith('--address=')) ? 53 : 0;
  const server = [
    `dnsmasq -k -p ${port} -C /dev/null --user=root --leasefile-ro --enable-ra`,
    ...dnsmasq,
  ].join(' ');
  line.start(
    tree,
    ['dhcpcd-hook', conf],
    `mkdir -p root/run/branchbox/leases; mount --bind leases root/run/branchbox/leases
     ${line.at('provider')} ${server} &
     exec ${line.at('box')} dhcpcd -B -${family} -f /usr/lib/branchbox/${conf} -c /usr/lib/branchbox/dhcpcd-hook wan1`,
  );
}
/** Looks at each change of what the hook left. */
async function until(reached: (lease: Lease6 | undefined) => boolean): Promise<Lease6 | undefined> {
  const leases = join(line.directory, 'leases');
  const { lease } = await untilChanged(leases, async () => {
    const found = parseLease6('wan1', await readFile(join(leases, 'wan1.env6'), 'utf8').catch(() => ''));
    return reached(found) ? { lease: found } : undefined;
  });
  return lease;
}

beforeAll(async () => {
  tree = await quietRootTree();
});
beforeEach(() => {
  line = createDhcpLine('six', ['2001:db8:1::1/64 nodad']);
  mkdirSync(join(line.directory, 'leases'));
});
afterEach(() => line.remove());

it('an assigned address, its router, DNS and the bootstrap server come; all go with the cable', async () => {
  start(
    6,
    '--dhcp-range=2001:db8:1::100,2001:db8:1::1ff,64,1h',
    '--dhcp-option=option6:dns-server,[2001:db8:1::53]',
    `--dhcp-option=option6:136,${option136()}`,
    `--dhcp-option=option6:103,${hex(Buffer.from(PORTAL))}`,
  );
  const lease = await until((found) => found?.gateway !== undefined && found.bootstrapServers.length > 0);
  expect(lease).toEqual({
    ifname: 'wan1',
    // Of the advertised prefix, which is on the link.
    address: expect.stringMatching(/^2001:db8:1::1[0-9a-f]{2}\/64$/),
    gateway: routerAddress(),
    dns: ['2001:db8:1::53'],
    bootstrapServers: [URI],
  });
  expect(await portals(6)).toEqual([['wan1', PORTAL]]);
  // The agent's, in the uplink's own table.
  expect(sh(`ip -n ${line.box} -6 route`)).not.toMatch(/^default/m);
  sh(`ip -n ${line.provider} link set p0 down`);
  expect(await until((found) => found === undefined)).toBeUndefined();
});

it('where only prefixes are advertised the box makes its own address; it goes with the client', async () => {
  start(6, '--dhcp-range=2001:db8:1::,ra-only,64,1h', '--dhcp-option=option6:dns-server,[2001:db8:1::53]');
  const lease = await until((found) => found !== undefined && found.dns.length > 0);
  expect(lease?.address).toMatch(/^2001:db8:1:0?:?[0-9a-f:]+ff:fe[0-9a-f:]+\/64$/);
  expect(lease).toMatchObject({ gateway: routerAddress(), dns: ['2001:db8:1::53'], bootstrapServers: [] });
  // As when a desired state ends the client: nothing of it stays. Its hook comes and goes, and may have ended since it was seen.
  sh(`for pid in $(ip netns pids ${line.box}); do kill $pid || [ ! -e /proc/$pid ]; done`);
  expect(await until((found) => found === undefined)).toBeUndefined();
  await line.ended();
  expect(
    sh(`ip -n ${line.box} -6 address show dev wan1 scope global; ip -n ${line.box} -6 route show default`),
  ).toBe('');
  // The port has its address of the link again, as before: a static address may be next.
  expect(sh(`ip -n ${line.box} -6 address show dev wan1 scope link`)).toMatch(/inet6 fe80::\S+\/64/);
});

it('a DNS server that is known on the link alone is asked over it', async () => {
  // dnsmasq: the address of the link that its port has.
  const names = ['--no-resolv', '--no-hosts', '--address=/controller.example/2001:db8:1::53'];
  start(6, '--dhcp-range=2001:db8:1::,ra-only,64,1h', '--dhcp-option=option6:dns-server,[fe80::]', ...names);
  const lease = await until((found) => found !== undefined && found.dns.length > 0);
  expect(lease?.dns).toEqual([routerAddress()]);
  const ask = (ifname: string): string =>
    sh(
      `ip netns exec ${line.box} ${process.execPath} ${ASK} ${ifname} ${lease?.address.split('/')[0]} ${routerAddress()}`,
    );
  expect(ask('wan1')).toBe('2001:db8:1::53\n');
  // Of another link it is another's, or nobody's.
  expect(ask('lo')).toBe('ETIMEOUT\n');
});

it('a captive portal that a lease of IPv4 names is asked for, and handed on', async () => {
  sh(`ip -n ${line.provider} address add 192.0.2.1/24 dev p0`);
  start(4, '--dhcp-range=192.0.2.100,192.0.2.120,1h', `--dhcp-option=114,${PORTAL}`);
  const found = await untilChanged(join(line.directory, 'leases'), async () => {
    const named = await portals(4);
    return named.length > 0 ? named : undefined;
  });
  expect(found).toEqual([['wan1', PORTAL]]);
});
