/**
 * Owns the network of the uplink tests: a box, a provider's router and a controller, each a namespace, and the programs
 * that run in them; as new after each test. Does not own what goes wrong in it nor what is expected.
 */
import { writeFile } from 'node:fs/promises';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeAll } from 'vitest';
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
export const CONTROLLER = '198.51.100.10';
export const BOX = '192.0.2.7';
export const ROUTER = '192.0.2.1';
export const NAT_ADDRESS = '198.51.100.1';
/** The same places in IPv6; the router is known by its address on the link. */
export const SIX = {
  controller: '2001:db8:c::10',
  box: '2001:db8:1::7',
  router: '2001:db8:1::1',
  onLink: 'fe80::1',
  outside: '2001:db8:c::1',
} as const;
const DAY_MS = 86_400_000;
const VALIDITY = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };

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
export const stranger = issue(
  makeCa('Hotel Proxy CA', VALIDITY),
  { kind: 'server', commonName: 'Hotel Proxy', dnsNames: ['controller.example'], ipAddresses: [CONTROLLER] },
  VALIDITY,
);
export const SUBJECT: Subject = {
  name: 'internet',
  port: 'wan1',
  ifname: 'wan1',
  carrier: true,
  metered: false,
  address: `${BOX}/24`,
  gateway: ROUTER,
  dns: [ROUTER],
  dhcp: true,
  pppoe: false,
  modem: false,
  budgetBytes: 1024 * 1024,
  expect: {},
  targets: [{ host: CONTROLLER, port: 8446 }],
  twin: undefined,
  proxy: undefined,
};

const pemOf = (one: Credential) => ({
  key: exportPrivateKey(one.key).reveal(),
  certificate: toPem([one.certificate]),
  anchor: domain.certificate.pem,
});

export const SUBJECT6: Partial<Subject> = {
  address: `${SIX.box}/64`,
  gateway: SIX.onLink,
  dns: [SIX.router],
  targets: [{ host: SIX.controller, port: 8446 }],
};
export const verdicts = ({ checks }: UplinkResult): Readonly<Record<string, string>> =>
  Object.fromEntries(checks.map(({ check, verdict }) => [check, verdict]));
export const sentenceOf = ({ checks }: UplinkResult, wanted: string): string =>
  checks.find(({ check }) => check === wanted)?.sentence ?? '';

/** Called at the top of a test file; the nodes are there once the tests run. */
export function useUplinkNetwork() {
  const host = createRunner();
  const processes = createProcesses();
  const directory = mkdtempSync(join(tmpdir(), 'bbt-uplink-'));
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
    await box.run(
      'ip',
      '-6',
      'route',
      'replace',
      'default',
      'via',
      SIX.onLink,
      'dev',
      'wan1',
      'table',
      '101',
    );
    await far.run('ip', '-6', 'route', 'replace', 'default', 'via', SIX.outside);
  }

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
  const startController = (credential = server, more: Pick<FarEndOptions, 'busyS'> = {}): Promise<void> =>
    startFarEnd(far, { kind: 'controller', address: CONTROLLER, ...pemOf(credential), ...more });
  const startController6 = (): Promise<void> =>
    startFarEnd(far, { kind: 'controller', address: SIX.controller, ...pemOf(server) });
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
    return UplinkResult.parse(
      JSON.parse(await (await run(box, 'test/lab/uplinkBox.ts', options)).said(/^\{/)),
    );
  }
  const nft = (rules: string): Promise<unknown> =>
    router.runner.runChecked('nft', ['-f', '-'], { stdin: rules });
  const forward = (rule: string): Promise<unknown> =>
    nft(`table ip faults { chain forward { type filter hook forward priority 0; ${rule} }; }\n`);

  return {
    get box() {
      return box;
    },
    get router() {
      return router;
    },
    get far() {
      return far;
    },
    forgetSix,
    startFarEnd,
    startController,
    startController6,
    startDns,
    test,
    nft,
    forward,
  };
}
