/**
 * Ways in that a network makes hard, on real parts all the way: the box's own DHCP clients, identity process and agent as
 * its units start them, a provider's dnsmasq and nft, the real controller, signer, manufacturer and broker. In each a box
 * as the factory left it is in service only once it took a desired state over MQTT and kept it (OPERATIONAL). What each
 * looks like with stand-ins, in more ways to fail: bootstrapWays.test.ts.
 */
import { execFile } from 'node:child_process';
import { cp, mkdtemp, rename, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { encodeBootstrapServers } from '../../src/lab/provider.ts';
import { labPaths, nodePaths } from '../../src/lab/paths.ts';
import { readNodePid } from '../../src/lab/enter.ts';
import { MEDIUM_DIRECTORY } from '../../src/model/medium.ts';
import { entriesOf, last, statesOf, statusOf, untilState } from './bootstrapObserve.ts';
import { createProcesses, type Running } from './processes.ts';

// Read by lab.ts as it loads.
vi.hoisted(() => (process.env['BRANCHBOX_TEST_LAB'] = 'ways'));
const { branchbox, inNode, lab, LAB, root, tryIn, until } = await import('./mainjob/lab.ts');

const PATHS = labPaths(LAB);
const ROUTER = '203.0.113.1';
const run = promisify(execFile);
const processes = createProcesses();
const within = (node: string): string => `--net=${nodePaths(PATHS, node).netns}`;

/** Where its identity process keeps its journal, from outside. */
const diskOf = (box: string): string => join(nodePaths(PATHS, box).var, 'lib/branchbox');
const runOf = (box: string): string => `/proc/${readNodePid(PATHS, box)}/root/run/branchbox`;
const problemOf = async (box: string): Promise<string> => (await statusOf(runOf(box))).lastProblem ?? '';
const untilInService = (box: string): Promise<void> => untilState(diskOf(box), last('OPERATIONAL'));
const uplinkOf = async (box: string): Promise<string | undefined> =>
  (await entriesOf(diskOf(box))).findLast(({ state }) => state === 'OWNED')?.note['uplink'];
const asFromFactory = (box: string): Promise<string> => lab('restart', box, '--factory');

/** All that the provider does to its lines, in place of what it did. */
async function providerDoes(...chains: readonly string[]): Promise<void> {
  const table = ['table inet ways {}', 'delete table inet ways', 'table inet ways {', ...chains, '}', ''];
  const ended = await tryIn('isp', ['nft', '-f', '-'], table.join('\n'));
  expect(ended.exitCode, ended.stderr).toBe(0);
}
const closed = (line: string): string =>
  `chain closed { type filter hook forward priority 0; iifname "${line}" drop; }`;
const NO_DHCP = 'chain silent { type filter hook input priority 0; iifname "line" udp dport 67 drop; }';
const PORT_80_IS_OURS = `chain portal { type nat hook prerouting priority dstnat; iifname "line" tcp dport 80 dnat ip to ${ROUTER}; }`;

const stand = (...args: readonly string[]): Promise<Running> => standIn('isp', ...args);
async function standIn(node: string, ...args: readonly string[]): Promise<Running> {
  const words = [join(root, 'launch'), 'test/lab/bootstrapMiddle.ts', ...args];
  const process = processes.start('nsenter', [within(node), ...words]);
  await process.said(/^ready$/);
  return process;
}

beforeAll(async () => {
  const up = await branchbox(['lab', 'up', 'ways', '--lab', LAB]);
  if (up.exitCode !== 0) throw new Error(up.stderr + up.stdout);
});
afterEach(async () => {
  await processes.end('SIGTERM');
  await providerDoes();
});
afterAll(async () => {
  await processes.end('SIGKILL');
  const down = await branchbox(['lab', 'down', '--lab', LAB]);
  if (down.exitCode !== 0) throw new Error(down.stderr);
});

it('through a proxy, of which a stick tells, where nothing else leads out: to the broker, too', async () => {
  await providerDoes(closed('line'));
  await asFromFactory('plain');
  // As long as nobody tells it of the proxy there is no way.
  await until('it says that nobody is reached', async () =>
    (await problemOf('plain')).includes('controller.branchbox.example'),
  );
  expect(await statesOf(diskOf('plain'))).not.toContain('OWNED');

  const proxy = await stand('proxy', ROUTER, '3128');
  const stick = await mkdtemp(join(tmpdir(), 'bbt-ways-'));
  const access = ['--api', 'https://198.51.100.10:8445', '--ca', join(PATHS.access, 'domain.pem')];
  access.push('--credential', join(PATHS.access, 'admin.credential'));
  const launched = [within('controller'), join(root, 'launch'), 'src/cli/main.ts'];
  const asked = ['fleet', 'usb', 'LAB-PLAIN', '--out', stick, '--json', '--proxy', `${ROUTER}:3128`];
  await run('nsenter', [...launched, ...asked, ...access]);
  // As firmware/medium-read does it: whole, or not there.
  const media = join(runOf('plain'), 'media');
  await cp(join(stick, MEDIUM_DIRECTORY, 'LAB-PLAIN'), join(media, '.part'), { recursive: true });
  await rename(join(media, '.part'), join(media, 'sda1'));
  await rm(stick, { recursive: true });

  await untilInService('plain');
  for (const port of [8444, 8446, 8883])
    await proxy.said(new RegExp(`^CONNECT controller\\.branchbox\\.example:${port}$`));
});

it('by IPv6 alone: nothing of IPv4 on the line, and its IPv6 is the way', async () => {
  await providerDoes(closed('six'));
  await asFromFactory('six');
  await until(
    'it says that nobody is reached',
    async () => (await problemOf('six')).includes('over wan1'),
    120_000,
  );
  expect(JSON.stringify(await entriesOf(diskOf('six')))).toContain('8443 over wan1 (IPv6)');
  expect(await statesOf(diskOf('six'))).not.toContain('OWNED');
  await providerDoes();
  await untilInService('six');
  expect(await inNode('six', 'ip', '-4', '-o', 'address', 'show', 'dev', 'wan1')).toBe('');
});

it('a WAN whose cable comes late, and whose DHCP server after that: it waits, without a fault, then comes in', async () => {
  const cable = async (): Promise<string> => {
    // Of a link that is down yet it cannot be read.
    return (await tryIn('plain', ['cat', '/sys/class/net/wan1/carrier'])).stdout.trim();
  };
  const waits = async (waitsFor: string): Promise<void> => {
    await until(
      `it waits for ${waitsFor}`,
      async () => (await statusOf(runOf('plain'))).waitsFor === waitsFor,
    );
    expect(await problemOf('plain')).toBe('');
  };
  await providerDoes(NO_DHCP);
  await asFromFactory('plain');
  await lab('cut', 'plain', 'internet', '--carrier');
  await until('no cable is seen', async () => (await cable()) === '0');
  await waits('a cable on a WAN port');
  await lab('heal', 'plain', 'internet');
  await until('the cable is seen', async () => (await cable()) === '1');
  await waits('an address on a WAN port');
  await providerDoes();
  await untilInService('plain');
});

it('of two WANs the first gives an address and leads nowhere: the other is the way', async () => {
  await providerDoes(closed('line'));
  await asFromFactory('two');
  const dead = await until(
    'the dead line gave an address',
    async () =>
      /inet (192\.0\.2\.\d+)\//.exec(
        await inNode('two', 'ip', '-4', '-o', 'address', 'show', 'dev', 'wan1'),
      )?.[1],
  );
  await until('it tried both', async () => {
    const log = await inNode('two', 'cat', '/var/log/units/branchbox-identity.service.log');
    return ['wan1', 'wan2'].every((port) => log.includes(`8443 over ${port}`));
  });
  expect(await statesOf(diskOf('two'))).not.toContain('OWNED');
  await providerDoes();
  await untilInService('two');
  expect(await uplinkOf('two')).toBe('wan2');
  // The server of the dead line may just be left; nobody else answers there, so it is heard again.
  await until('the dead line has its address', async () =>
    (await inNode('two', 'ip', '-4', '-o', 'address', 'show', 'dev', 'wan1')).includes(`inet ${dead}/`),
  );
});

describe('behind a captive portal', () => {
  it('page and command line name it and where it sends browsers; the box goes on by itself once it is let out', async () => {
    await providerDoes(closed('line'), PORT_80_IS_OURS);
    await stand('portal', ROUTER, '');
    await asFromFactory('plain');
    await until('the portal is recognised', async () =>
      (await problemOf('plain')).includes('captive portal'),
    );
    const said = [
      'A captive portal on wan1',
      'it sends browsers to http://login.hotel.example/welcome',
      'sign in with a computer on that line',
    ];
    const told = await inNode('plain', 'branchbox', 'bootstrap', 'status');
    const page = await inNode('laptop', 'curl', '-sS', '--max-time', '5', 'http://172.31.254.1/');
    for (const words of said) {
      expect(told).toContain(words);
      expect(page).toContain(words);
    }
    expect(await statesOf(diskOf('plain'))).not.toContain('OWNED');
    await providerDoes();
    await untilInService('plain');
  });
});

describe('beside a wrong DHCP server that answers first', () => {
  const WRONG = '203.0.113.66';
  /** Gateway, names and bootstrap server are itself, which routes nothing and serves nothing but what a test stands there. */
  const ROGUE =
    `dnsmasq --conf-file=/dev/null --port=0 --user=root --leasefile-ro --no-ping --dhcp-authoritative
    --interface=eth0 --bind-interfaces --pid-file=/run/rogue.pid
    --dhcp-range=203.0.113.200,203.0.113.240,255.255.255.0,1h
    --dhcp-option=option:router,${WRONG} --dhcp-option=option:dns-server,${WRONG}
    --dhcp-option=143,${encodeBootstrapServers([`https://${WRONG}:8443`])}`.split(/\s+/);
  const addressOf = async (): Promise<string> =>
    inNode('plain', 'ip', '-4', '-o', 'address', 'show', 'dev', 'wan1');
  const holdsWrongLease = async (): Promise<boolean> => /inet 203\.0\.113\.2\d\d\//.test(await addressOf());
  const LEFT = `what the DHCP server ${WRONG} on wan1 gave leads nowhere, so another one is asked`;

  beforeAll(async () => {
    await inNode('stranger', ...ROGUE);
  });
  afterAll(async () => {
    await tryIn('stranger', ['sh', '-c', 'kill "$(cat /run/rogue.pid)"']);
  });

  async function isLeft(withinMs: number): Promise<void> {
    await providerDoes(NO_DHCP);
    await asFromFactory('plain');
    await until('the wrong lease', holdsWrongLease);
    await until(
      'it is left, and the command line says so',
      async () => (await inNode('plain', 'branchbox', 'bootstrap', 'status')).includes(LEFT),
      withinMs,
    );
  }

  it('its lease is left, by name, and that of the right one, which answers later, is the way in', async () => {
    await isLeft(150_000);
    expect(await statesOf(diskOf('plain'))).not.toContain('OWNED');

    await providerDoes();
    await untilInService('plain');
    expect(await addressOf()).toMatch(/inet 203\.0\.113\.1\d\d\//);
    expect(await addressOf()).not.toMatch(/inet 203\.0\.113\.2\d\d\//);
  }, 420_000);

  it('so is it where its bootstrap server answers over TLS and proves nothing', async () => {
    await standIn('stranger', 'portal', WRONG, '8443');
    await isLeft(300_000);
    expect(await statesOf(diskOf('plain'))).not.toContain('OWNED');
    await providerDoes();
    await untilInService('plain');
    expect(await addressOf()).toMatch(/inet 203\.0\.113\.1\d\d\//);
  }, 600_000);
});
