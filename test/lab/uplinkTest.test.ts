/**
 * The test of an uplink against the real far end, by a real kernel: a box, a provider's router and a controller, each a
 * namespace. Faults are the router's: a smaller MTU with and without ICMP, dropped packets, a NAT of either kind, a
 * captive portal, somebody who intercepts TLS, a DNS server that lies or is silent. This kernel has no netem: delay is
 * not made, only measured.
 */
import { writeFile } from 'node:fs/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest';
import { ensureRootTree } from '../../src/lab/rootTree.ts';
import { UplinkResult } from '../../src/model/uplinkReport.ts';
import { toPem } from '../../src/pki/certificate.ts';
import type { Credential } from '../../src/pki/issue.ts';
import { exportPrivateKey } from '../../src/pki/keys.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { Subject } from '../../src/wan/uplinkTest/subject.ts';
import { issue, makeCa } from '../unit/pki/domain.ts';
import { createProcesses, type Running } from './processes.ts';
import type { BoxOptions } from './uplinkBox.ts';
import type { FarEndOptions } from './uplinkFarEnd.ts';
import { type BareNode, startBareNode } from './wan/bareNode.ts';

const CHECKOUT = join(import.meta.dirname, '../..');
const CONTROLLER = '198.51.100.10';
const BOX = '192.0.2.7';
const ROUTER = '192.0.2.1';
const NAT_ADDRESS = '198.51.100.1';
/** The same places in IPv6; the router is known by its address on the link. */
const SIX = {
  controller: '2001:db8:c::10',
  box: '2001:db8:1::7',
  router: '2001:db8:1::1',
  onLink: 'fe80::1',
  outside: '2001:db8:c::1',
} as const;
const DAY_MS = 86_400_000;
const VALIDITY = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

const host = createRunner();
const processes = createProcesses();
const directory = mkdtempSync(join(tmpdir(), 'bbt-uplink-'));
const domain = makeCa('Domain CA', VALIDITY);
const server = issue(
  domain,
  {
    kind: 'server',
    commonName: 'controller',
    dnsNames: ['controller.example'],
    ipAddresses: [CONTROLLER, SIX.controller],
  },
  VALIDITY,
);
const ldevid = issue(domain, { kind: 'ldevid', gatewayId: 'branch1' }, VALIDITY);
const stranger = issue(
  makeCa('Hotel Proxy CA', VALIDITY),
  { kind: 'server', commonName: 'Hotel Proxy', dnsNames: ['controller.example'], ipAddresses: [CONTROLLER] },
  VALIDITY,
);
const SUBJECT: Subject = {
  name: 'internet',
  port: 'wan1',
  ifname: 'wan1',
  carrier: true,
  metered: false,
  address: `${BOX}/24`,
  gateway: ROUTER,
  dns: [ROUTER],
  dhcp: true,
  budgetBytes: 1024 * 1024,
  expect: {},
  targets: [{ host: CONTROLLER, port: 8446 }],
};

let box: BareNode;
let router: BareNode;
let far: BareNode;
let counter = 0;
/** Of one test: over when it ends. */
let started: Running[] = [];

beforeAll(async () => {
  const tree = await ensureRootTree(host, (line) => process.stderr.write(`${line}\n`));
  box = await startBareNode('ubox', tree);
  router = await startBareNode('urouter', tree);
  far = await startBareNode('ufar', tree);
  const wire = async (a: BareNode, aName: string, b: BareNode, bName: string): Promise<void> => {
    const near = ['link', 'add', aName, 'netns', a.netns, 'type', 'veth'];
    await host.runChecked('ip', [...near, 'peer', 'name', bName, 'netns', b.netns]);
    await a.run('ip', 'link', 'set', aName, 'up');
    await b.run('ip', 'link', 'set', bName, 'up');
  };
  await wire(box, 'wan1', router, 'lan');
  await wire(router, 'wan', far, 'eth0');
  await box.run('ip', 'address', 'add', `${BOX}/24`, 'dev', 'wan1');
  // As the agent has it: a table of the uplink's own, and no default route in main.
  await box.run('ip', 'route', 'add', 'default', 'via', ROUTER, 'table', '101');
  await box.run('ip', 'rule', 'add', 'from', BOX, 'lookup', '101', 'pref', '1301');
  await router.run('ip', 'address', 'add', `${ROUTER}/24`, 'dev', 'lan');
  await router.run('ip', 'address', 'add', `${NAT_ADDRESS}/24`, 'dev', 'wan');
  await router.run('sysctl', '-qw', 'net.ipv4.ip_forward=1');
  const six = (node: BareNode, address: string, port: string) =>
    node.run('ip', 'address', 'add', `${address}/64`, 'dev', port, 'nodad');
  await six(box, SIX.box, 'wan1');
  await box.run('ip', '-6', 'route', 'add', 'default', 'via', SIX.onLink, 'dev', 'wan1', 'table', '101');
  await box.run('ip', '-6', 'rule', 'add', 'from', SIX.box, 'lookup', '101', 'pref', '1301');
  await six(router, SIX.router, 'lan');
  await six(router, SIX.onLink, 'lan');
  await six(router, SIX.outside, 'wan');
  await six(far, SIX.controller, 'eth0');
  await far.run('ip', '-6', 'route', 'add', 'default', 'via', SIX.outside);
  await far.run('ip', 'address', 'add', `${CONTROLLER}/24`, 'dev', 'eth0');
  await far.run('ip', 'route', 'add', 'default', 'via', NAT_ADDRESS);
}, 20 * 60_000);

afterEach(async () => {
  for (const one of started) await one.end('SIGKILL');
  started = [];
  await router.run('nft', 'flush', 'ruleset');
  await router.run('ip', 'link', 'set', 'wan', 'mtu', '1500');
  // What ICMP taught them in one test is not for the next.
  for (const node of [box, router, far]) await node.run('ip', 'route', 'flush', 'cache');
  await forgetSix();
});
afterAll(async () => {
  await processes.end('SIGKILL');
  for (const node of [box, router, far]) await node.stop();
  rmSync(directory, { recursive: true, force: true });
});

/** What ICMPv6 taught stays with the route, whatever is flushed: a new one knows nothing. */
async function forgetSix(): Promise<void> {
  await box.run('ip', '-6', 'route', 'replace', 'default', 'via', SIX.onLink, 'dev', 'wan1', 'table', '101');
  await far.run('ip', '-6', 'route', 'replace', 'default', 'via', SIX.outside);
}

const pemOf = (one: Credential) => ({
  key: exportPrivateKey(one.key).reveal(),
  certificate: toPem([one.certificate]),
  anchor: domain.certificate.pem,
});

async function run(node: BareNode, program: string, options: FarEndOptions | BoxOptions): Promise<Running> {
  const file = join(directory, `${(counter += 1)}.json`);
  await writeFile(file, JSON.stringify(options), { mode: 0o600 });
  const words = [`--net=/run/netns/${node.netns}`, join(CHECKOUT, 'launch'), program, file];
  const one = processes.start('nsenter', words);
  started.push(one);
  return one;
}
async function startFarEnd(node: BareNode, options: FarEndOptions): Promise<void> {
  await (await run(node, 'test/lab/uplinkFarEnd.ts', options)).said(/^ready$/);
}
const startController = (credential = server): Promise<void> =>
  startFarEnd(far, { kind: 'controller', address: CONTROLLER, ...pemOf(credential) });
const startController6 = (): Promise<void> =>
  startFarEnd(far, { kind: 'controller', address: SIX.controller, ...pemOf(server) });
const SUBJECT6: Partial<Subject> = {
  address: `${SIX.box}/64`,
  gateway: SIX.onLink,
  dns: [SIX.router],
  targets: [{ host: SIX.controller, port: 8446 }],
};
const startDns = (lie?: string): Promise<void> =>
  startFarEnd(router, { kind: 'dns', address: ROUTER, ...(lie === undefined ? {} : { lie }) });

async function test(subject: Partial<Subject> = {}, owned = true): Promise<UplinkResult> {
  const { key, certificate, anchor } = pemOf(ldevid);
  const credentials = { key, certificatePem: certificate, anchorPem: anchor };
  const options: BoxOptions = {
    pid: box.pid,
    subject: { ...SUBJECT, ...subject },
    ...(owned ? { credentials } : {}),
  };
  return UplinkResult.parse(JSON.parse(await (await run(box, 'test/lab/uplinkBox.ts', options)).said(/^\{/)));
}
const verdicts = ({ checks }: UplinkResult): Readonly<Record<string, string>> =>
  Object.fromEntries(checks.map(({ check, verdict }) => [check, verdict]));
const sentenceOf = ({ checks }: UplinkResult, wanted: string): string =>
  checks.find(({ check }) => check === wanted)?.sentence ?? '';
const nft = (rules: string): Promise<unknown> =>
  router.runner.runChecked('nft', ['-f', '-'], { stdin: rules });
const forward = (rule: string): Promise<unknown> =>
  nft(`table ip faults { chain forward { type filter hook forward priority 0; ${rule} }; }\n`);

describe('an uplink that is as it should be', () => {
  it('passes every check, with figures of all, and stays in its budget', async () => {
    await startController();
    await startDns();
    const result = await test();
    expect(verdicts(result)).toEqual({
      address: 'pass',
      gateway: 'pass',
      dns: 'pass',
      controller: 'pass',
      nat: 'pass',
      mtu: 'pass',
      loss: 'pass',
      delay: 'pass',
      jitter: 'pass',
      download: 'pass',
      upload: 'pass',
    });
    expect(result.figures).toMatchObject({
      nat: { kind: 'none', mappedAddress: BOX },
      mtu: { link: 1500, toController: 1500, fromController: 1500 },
      roundTrip: { sent: 100, received: 100, by: 'probe' },
    });
    expect(result.usedBytes).toBeLessThanOrEqual(SUBJECT.budgetBytes);
    expect(result.usedBytes).toBeGreaterThan(SUBJECT.budgetBytes / 2);
  });

  it('of the least budget is tested within it, and fails what its site expects beyond it', async () => {
    await startController();
    await startDns();
    const expectation = { minDownKbps: 100_000_000, minMtu: 1600 };
    const result = await test({ budgetBytes: 64 * 1024, metered: true, expect: expectation });
    expect(result.usedBytes).toBeLessThanOrEqual(64 * 1024);
    expect(result.verdict).toBe('fail');
    expect(verdicts(result)).toMatchObject({ download: 'fail', loss: 'pass' });
  });

  it('is tested as far as that goes before the box has an owner', async () => {
    await startController();
    const result = await test({ dns: [] }, false);
    expect(verdicts(result)).toMatchObject({
      address: 'pass',
      gateway: 'pass',
      dns: 'warn',
      nat: 'unknown',
      loss: 'pass',
    });
    expect(result.figures.roundTrip?.by).toBe('ping');
    expect(sentenceOf(result, 'mtu')).toContain('before the box has an owner');
  });
});

describe('an uplink of IPv6', () => {
  it('passes every check, by its own way out and with probes as large as of IPv4', async () => {
    await startController6();
    await startFarEnd(router, { kind: 'dns', address: SIX.router });
    const result = await test(SUBJECT6);
    expect(result.checks.filter(({ verdict }) => verdict !== 'pass')).toEqual([]);
    expect(result.figures).toMatchObject({
      address: `${SIX.box}/64`,
      gateway: SIX.onLink,
      controller: { address: SIX.controller },
      nat: { kind: 'none', mappedAddress: SIX.box },
      mtu: { link: 1500, toController: 1500, fromController: 1500 },
      roundTrip: { sent: 100, received: 100, by: 'probe' },
    });
    expect(result.usedBytes).toBeLessThanOrEqual(SUBJECT.budgetBytes);
  });

  it('is told by its router of a smaller MTU, and finds out one that is kept from it', async () => {
    await startController6();
    await router.run('ip', 'link', 'set', 'wan', 'mtu', '1400');
    const told = await test(SUBJECT6);
    expect(told.figures.mtu).toMatchObject({ link: 1500, toController: 1400 });
    expect(told.figures.mtu?.fromController).toBeLessThanOrEqual(1400);
    await router.run('ip', 'link', 'set', 'wan', 'mtu', '1500');
    await forgetSix();
    await nft(`table ip6 faults { chain forward { type filter hook forward priority 0;
      iifname "lan" udp dport 8447 meta length > 1444 drop; iifname "wan" udp sport 8447 meta length > 1333 drop; }; }\n`);
    const { figures } = await test(SUBJECT6);
    expect(figures.mtu).toMatchObject({ toController: 1444, fromController: 1333 });
  });

  it('without a router that answers, says so', async () => {
    const result = await test({ ...SUBJECT6, gateway: 'fe80::dead' });
    expect(verdicts(result)).toMatchObject({ address: 'pass', gateway: 'fail', controller: 'fail' });
  });
});

describe('an uplink whose router', () => {
  it('knows a smaller MTU on the way back alone shows it in what comes', async () => {
    await startController();
    await router.run('ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'lan', 'mtu', 'lock', '1380');
    try {
      // Once for ICMP to be taught, once with what was taught.
      for (let i = 0; i < 2; i += 1) {
        const { figures } = await test();
        expect(figures.mtu?.toController).toBe(1500);
        expect(figures.mtu?.fromController).toBeLessThanOrEqual(1380);
        expect(figures.mtu?.fromController).toBeGreaterThan(1300);
      }
    } finally {
      await router.run('ip', 'route', 'replace', '192.0.2.0/24', 'dev', 'lan');
    }
  });

  it('has a smaller MTU behind it and says so is told by it, both ways', async () => {
    await startController();
    await router.run('ip', 'link', 'set', 'wan', 'mtu', '1400');
    const { figures, checks } = await test({ expect: { minMtu: 1492 } });
    expect(figures.mtu).toMatchObject({ link: 1500, toController: 1400 });
    expect(figures.mtu?.fromController).toBeLessThanOrEqual(1400);
    expect(checks).toContainEqual(expect.objectContaining({ check: 'mtu', verdict: 'fail' }));
  });

  it('drops what is too large in silence is found out to the byte, each way by itself', async () => {
    await startController();
    await forward(
      'iifname "lan" udp dport 8447 meta length > 1444 drop; iifname "wan" udp sport 8447 meta length > 1333 drop;',
    );
    const { figures } = await test();
    expect(figures.mtu).toMatchObject({ toController: 1444, fromController: 1333 });
  });

  it('drops what is too large of TCP too lets nobody prove who it is, and that is said', async () => {
    await startController();
    await forward('iifname "wan" tcp sport 8446 meta length > 700 drop;');
    expect(sentenceOf(await test(), 'controller')).toContain('most likely packets of full size are lost');
  });

  it('loses every tenth datagram is measured as that', async () => {
    await startController();
    await forward('iifname "lan" udp dport 8447 numgen inc mod 10 == 0 drop;');
    const { figures } = await test({ expect: { maxLossPercent: 5 } });
    expect(figures.roundTrip).toMatchObject({ sent: 100, received: 90, lossPercent: 10 });
  });

  it('lets no UDP out fails by that', async () => {
    await startController();
    await forward('iifname "lan" meta l4proto udp drop;');
    const result = await test();
    expect(verdicts(result)).toMatchObject({ controller: 'pass', loss: 'fail', mtu: 'unknown' });
    expect(sentenceOf(result, 'loss')).toContain('UDP to the controller does not get through');
  });

  it.each([
    ['masquerade', 'same-mapping'],
    ['masquerade fully-random', 'mapping-per-port'],
  ])('has a NAT (%s) is recognised as %s', async (statement, kind) => {
    await startController();
    await nft(
      `table ip nat { chain out { type nat hook postrouting priority 100; oifname "wan" ${statement}; }; }\n`,
    );
    const { figures } = await test();
    expect(figures.nat).toMatchObject({ kind, mappedAddress: NAT_ADDRESS });
  });

  it('sends everybody to a sign-in is a captive portal, by name', async () => {
    await startController();
    await startFarEnd(router, { kind: 'portal', address: ROUTER });
    await nft(`table ip nat { chain in { type nat hook prerouting priority -100; iifname "lan" tcp dport 80 dnat to ${ROUTER}; }; }
table ip faults { chain forward { type filter hook forward priority 0; iifname "lan" tcp dport 8446 drop; }; }
`);
    expect(sentenceOf(await test(), 'controller')).toBe(
      `A captive portal answers in the place of ${CONTROLLER}: it sends the box to login.hotel.example.`,
    );
  });

  it('or somebody behind it intercepts TLS is named by its certificate', async () => {
    await startController(stranger);
    const result = await test();
    expect(result.verdict).toBe('fail');
    expect(sentenceOf(result, 'controller')).toContain('with a certificate of Hotel Proxy');
  });

  it('names a DNS server that invents, or none that answers, is told so', async () => {
    await startController();
    expect(verdicts(await test())).toMatchObject({ dns: 'fail', controller: 'pass' });
    await startDns('192.0.2.66');
    const inventing = await test();
    expect(verdicts(inventing)).toMatchObject({ dns: 'warn', controller: 'pass' });
    expect(sentenceOf(inventing, 'dns')).toContain('names that do not exist');
  });

  it('is dead is named', async () => {
    const result = await test({ gateway: '192.0.2.99', targets: [] });
    expect(sentenceOf(result, 'gateway')).toContain('192.0.2.99 does not answer');
  });
});
