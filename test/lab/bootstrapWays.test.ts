/**
 * Ways in that a network makes hard: only through a proxy, only by IPv6, late, over one uplink of two, beside a wrong
 * DHCP server, behind a captive portal. Against the real manufacturer, signer and controller, each way with what it
 * looks like where it does not lead in.
 */
import { cp, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { MEDIUM_DIRECTORY } from '../../src/model/medium.ts';
import { entriesOf, statesOf, statusOf, untilOwned } from './bootstrapObserve.ts';
import { type BootstrapWorld, createBootstrapWorld, NAME, placeInFleet } from './bootstrapWorld.ts';
import type { Running } from './processes.ts';

/** Beside those of the world. `nobody`: an address that is there, and at which nobody listens. */
const AT = {
  nobody: '198.51.100.7',
  middle: '198.51.100.20',
  listing: '198.51.100.8',
  lies: '198.51.100.3',
  box2: '198.51.100.101',
};
const AT6 = { controller: '2001:db8::10', names: '2001:db8::1', box: '2001:db8::100', lies: '2001:db8::3' };
const SERIALS = ['P', 'Q', 'SIX', 'DNS', 'LATE', 'TWO', 'ROGUE', 'PAGE', 'PLAIN', 'TLS', 'STICK'].map(
  (name) => `BBT-${name}`,
);

let world: BootstrapWorld;
/** One of the others that stand in between, until its test is over. */
async function stand(script: string, ...args: readonly string[]): Promise<Running> {
  const process = world.start(script, ...args);
  await process.said(/^ready$/);
  return process;
}
const middle = (...args: readonly string[]) => stand('test/lab/bootstrapMiddle.ts', ...args);
const names = (...args: readonly string[]) => stand('test/lab/bootstrapNames.ts', ...args);

beforeAll(async () => {
  world = await createBootstrapWorld();
  for (const address of [
    ...Object.values(AT).map((at) => `${at}/32`),
    ...Object.values(AT6).map((at) => `${at}/128`),
  ]) {
    await world.inside('ip', 'address', 'add', address, 'dev', 'lo', 'nodad');
  }
  await world.startServices();
  await placeInFleet(world, SERIALS);
});
afterAll(() => world.remove());

interface Given {
  readonly dns?: string;
  readonly bootstrapServer?: string;
  readonly address?: string;
  readonly domain?: string;
}
/** As the DHCP client's hook writes it. */
const lease = (box: string, ifname: string, given: Given = {}): Promise<void> =>
  writeFile(
    join(box, 'leases', `${ifname}.env`),
    `reason=BOUND\ninterface=${ifname}\nnew_ip_address=${given.address ?? '198.51.100.100'}\nnew_subnet_cidr=24\n` +
      `new_routers=198.51.100.1\nnew_domain_name_servers=${given.dns ?? '198.51.100.1'}\n` +
      (given.domain === undefined ? '' : `new_domain_name=${given.domain}\n`) +
      (given.bootstrapServer === undefined ? '' : `new_sztp_redirect=${given.bootstrapServer}\n`),
  );
const REAL = { bootstrapServer: `https://${NAME}:8443` };
/** From the factory, with no cable in it, and started. */
async function newBox(serial: string, builtIn = ''): Promise<{ box: string; process: Running }> {
  const box = await world.newBox(serial);
  await rm(join(box, 'leases/wan1.env'));
  await writeFile(join(box, 'factory/bootstrap-servers'), builtIn);
  const process = world.start('test/lab/bootstrapBox.ts', box);
  await process.said(/bootstrap state entered.*ADDR/);
  return { box, process };
}

/** With no cable in it: only a medium told it whose it is. */
async function ownedByStick(
  serial: string,
  ...network: readonly string[]
): Promise<{ box: string; process: Running }> {
  const { box, process } = await newBox(serial);
  const stick = join(world.directory, `stick-${serial}`);
  await world.branchbox('fleet', 'usb', serial, '--out', stick, '--json', ...network, ...world.apiAccess);
  const read = join(box, 'root/run/branchbox/media/sda1');
  await cp(join(stick, MEDIUM_DIRECTORY, serial), read, { recursive: true });
  await process.said(/bootstrap state entered.*OWNED/);
  return { box, process };
}

describe('through a proxy that a medium names', () => {
  const PROXY = ['--proxy', `${AT.middle}:3128`];
  it('every connection goes there, names are asked there, and the box is enrolled', async () => {
    const proxy = await middle('proxy', AT.middle, '3128');
    const { box, process } = await ownedByStick('BBT-P', ...PROXY);
    // No DNS at all: only the proxy knows where that is.
    await lease(box, 'wan1', { dns: AT.nobody });
    expect((await untilOwned(box)).gatewayId).toBe('bbt-p');
    for (const port of [8444, 8446]) await proxy.said(new RegExp(`^CONNECT ${NAME}:${port}$`));
    await process.end('SIGTERM');
    await proxy.end('SIGTERM');
  });

  it('that does not let the box through: said so', async () => {
    const proxy = await middle('proxy', AT.middle, '3128', '8444');
    const { box, process } = await ownedByStick('BBT-Q', ...PROXY);
    await lease(box, 'wan1', { dns: AT.nobody });
    expect(await process.said(/bootstrap step failed/)).toContain('the proxy answered 403');
    expect((await statusOf(box)).lastProblem).toContain('403: it does not allow this destination');
    await proxy.end('SIGTERM');
    const lets = await middle('proxy', AT.middle, '3128');
    expect((await untilOwned(box)).gatewayId).toBe('bbt-q');
    await process.end('SIGTERM');
    await lets.end('SIGTERM');
  });
});

describe('by IPv6 alone', () => {
  it('from advertisement and DHCPv6 to the certificate; a name without AAAA is told', async () => {
    const relay = await middle('relay', AT6.controller, '198.51.100.10', '8443,8444,8446');
    await names(AT6.names, AT6.controller);
    await names(AT6.lies, '198.51.100.10');
    const { box, process } = await newBox('BBT-SIX');
    const lease6 = (dns: string): Promise<void> =>
      writeFile(
        join(box, 'leases/wan1.env6'),
        `nd1_from=fe80::1\nnd1_addr1=${AT6.box}/64\nnd1_rdnss1_servers=fe80::1 ${dns}\nnew_dhcp6_sztp_redirect=https://${NAME}:8443\n`,
      );
    await lease6(AT6.lies);
    expect(await process.said(/bootstrap step failed/)).toMatch(
      /cannot be resolved over wan1: queryAaaa ENODATA/,
    );
    await lease6(AT6.names);
    expect((await untilOwned(box)).gatewayId).toBe('bbt-six');
    expect(JSON.stringify(await entriesOf(box))).toContain(`${NAME}:8443 over wan1 (IPv6)`);
    await process.end('SIGTERM');
    await relay.end('SIGTERM');
  });
});

it('by DNS: the domain that DHCP names lists the bootstrap server (DNS-SD), and nothing else does', async () => {
  const dns = await names(AT.listing, '198.51.100.10', 'site.example', NAME, '8443');
  const { box, process } = await newBox('BBT-DNS', '# none\n');
  await lease(box, 'wan1', { dns: AT.listing, domain: 'other.example' });
  expect(await process.said(/bootstrap step failed/)).toContain('Neither a medium nor DNS');
  await lease(box, 'wan1', { dns: AT.listing, domain: 'site.example' });
  expect((await untilOwned(box)).gatewayId).toBe('bbt-dns');
  expect(JSON.stringify(await entriesOf(box))).toContain(`${NAME}:8443 over wan1`);
  await process.end('SIGTERM');
  await dns.end('SIGTERM');
});

it('a WAN that comes up late is waited for, and that is what the installer reads', async () => {
  const { box, process } = await newBox('BBT-LATE');
  expect(await statusOf(box)).toMatchObject({ state: 'ADDR', waitsFor: 'an address on a WAN port' });
  expect((await statusOf(box)).lastProblem).toBeUndefined();
  await lease(box, 'wan1', REAL);
  expect((await untilOwned(box)).gatewayId).toBe('bbt-late');
  expect(await statesOf(box)).not.toContain('RECOVER');
  await process.end('SIGTERM');
});

it('of two WANs of which one leads nowhere the other is taken; with both dark the box says which way it tried', async () => {
  const { box, process } = await newBox('BBT-TWO', `https://${NAME}:8443\n`);
  await lease(box, 'wan1', { ...REAL, dns: AT.nobody });
  expect(await process.said(/bootstrap step failed/)).toContain('cannot be resolved over wan1');
  await lease(box, 'wan2', { ...REAL, address: AT.box2 });
  expect((await untilOwned(box)).gatewayId).toBe('bbt-two');
  const owned = (await entriesOf(box)).find(({ state }) => state === 'OWNED');
  expect(owned?.note['uplink']).toBe('wan2');
  await process.end('SIGTERM');
});

it("a wrong DHCP server's bootstrap server is asked and not believed, its dead end is left when the right one answers", async () => {
  const rogue = await middle('portal', AT.middle, '8443');
  const { box, process } = await newBox('BBT-ROGUE');
  // Option 143 of somebody else, and a way out that is none.
  await lease(box, 'wan1', { bootstrapServer: `https://${AT.middle}:8443`, dns: AT.nobody });
  expect(await process.said(/bootstrap server gave nothing/)).toContain(`${AT.middle}:8443 over wan1`);
  expect(await statesOf(box)).not.toContain('OWNED');
  await lease(box, 'wan1', REAL);
  expect((await untilOwned(box)).gatewayId).toBe('bbt-rogue');
  await process.end('SIGTERM');
  await rogue.end('SIGTERM');
});

describe('behind a captive portal', () => {
  /** Every name leads to the middle, as portals do it. */
  beforeAll(async () => {
    await names(AT.lies, AT.middle);
  });
  const there = { ...REAL, dns: AT.lies };

  it.each([
    ['that answers HTTPS with a page', 'BBT-PAGE', '8443', 'with a page'],
    ['that lets HTTPS run dry', 'BBT-PLAIN', '', 'browsers to http://login.hotel.example/welcome'],
  ])(
    '%s: named as such, with what to do; and on it goes once let through',
    async (_, serial, ports, words) => {
      const portal = await middle('portal', AT.middle, ports);
      const { box, process } = await newBox(serial);
      await lease(box, 'wan1', there);
      expect(await process.said(/bootstrap step failed/)).toContain('bootstrap/captive-portal');
      const { lastProblem } = await statusOf(box);
      expect(lastProblem).toContain('A captive portal on wan1');
      expect(lastProblem).toContain(words);
      expect(lastProblem).toContain('sign in with a computer on that line');
      await lease(box, 'wan1', REAL);
      expect((await untilOwned(box)).gatewayId).toBe(serial.toLowerCase());
      await process.end('SIGTERM');
      await portal.end('SIGTERM');
    },
  );

  it('is nobody where the name has a web page of its own, and its service is away', async () => {
    const site = await middle('website', AT.middle);
    const { box, process } = await newBox('BBT-SITE');
    await lease(box, 'wan1', there);
    expect(await process.said(/bootstrap step failed/)).not.toContain('captive');
    expect((await statusOf(box)).lastProblem).toContain('ECONNREFUSED');
    await process.end('SIGTERM');
    await site.end('SIGTERM');
  });

  it('that a box meets which knows its owner already: named all the same', async () => {
    const portal = await middle('portal', AT.middle, '');
    const { box, process } = await ownedByStick('BBT-STICK');
    await lease(box, 'wan1', there);
    expect(await process.said(/bootstrap step failed/)).toContain('bootstrap/captive-portal');
    expect(await statusOf(box)).toMatchObject({ state: 'OWNED' });
    await lease(box, 'wan1', REAL);
    expect((await untilOwned(box)).gatewayId).toBe('bbt-stick');
    await process.end('SIGTERM');
    await portal.end('SIGTERM');
  });

  it('that intercepts TLS: what it hands on is of no use to it, and the installer is told', async () => {
    const interceptor = await middle('interceptor', AT.middle, '198.51.100.10', '8443,8444,8446');
    const { box, process } = await newBox('BBT-TLS');
    await lease(box, 'wan1', there);
    expect(await process.said(/bootstrap step failed/)).toContain('Is TLS intercepted on the way');
    await lease(box, 'wan1', REAL);
    expect((await untilOwned(box)).gatewayId).toBe('bbt-tls');
    await process.end('SIGTERM');
    await interceptor.end('SIGTERM');
  });
});
