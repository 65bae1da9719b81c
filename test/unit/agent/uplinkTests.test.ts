/** When a box tests its uplinks by itself, and what becomes of the reports. */
import { mkdtempSync, rmSync, writeFileSync, mkdirSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { AGENT_PATHS, type AgentPaths } from '../../../src/agent/paths.ts';
import { createUplinkTests, type UplinkTests } from '../../../src/agent/uplinkTests.ts';
import type { DesiredSpec } from '../../../src/model/desired.ts';
import type { Facts } from '../../../src/model/facts.ts';
import type { UplinkReport } from '../../../src/model/uplinkReport.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { NOTHING_FOUND } from '../../../src/wan/uplinkTest/findings.ts';
import { judgeUplink } from '../../../src/wan/uplinkTest/judge.ts';
import type { Subject } from '../../../src/wan/uplinkTest/subject.ts';
import { factsOf, specOf } from '../../lab/wan/fleet.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';

const KEY = `${'A'.repeat(42)}A=`;
const SPEC = specOf('branch1', { hub: KEY, branch1: KEY, branch2: KEY });

let directory: string;
let ending: AbortController;
let facts: Facts;
let spec: DesiredSpec | undefined;
let gatewayId: string | undefined;
let connected: boolean;
let sent: UplinkReport[];
let tested: Subject[];
/** How long it paused, in turn. */
let pausesMs: number[];
let wallMs: number;
let upMs: number;
/** What happened since the last look. */
let happened: PromiseWithResolvers<void>;
/** It has nothing to do. */
let rested: PromiseWithResolvers<void>;

beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), 'bbt-uplink-'));
  ending = new AbortController();
  facts = { ...factsOf(KEY), leases: [] };
  spec = undefined;
  gatewayId = undefined;
  connected = false;
  sent = [];
  tested = [];
  pausesMs = [];
  wallMs = 1_000;
  upMs = 0;
  happened = Promise.withResolvers();
  rested = Promise.withResolvers();
});
afterEach(() => {
  ending.abort();
  rmSync(directory, { recursive: true, force: true });
});

const paths = (): AgentPaths => ({
  ...AGENT_PATHS,
  state: join(directory, 'agent'),
  factory: join(directory, 'factory'),
});

async function start(hold?: Promise<void>): Promise<UplinkTests> {
  const tests = await createUplinkTests({
    files: createFiles(),
    paths: paths(),
    facts: () => facts,
    network: () => undefined,
    spec: () => spec,
    gatewayId: () => gatewayId,
    owner: () => undefined,
    inService: () => spec !== undefined && connected,
    connected: () => connected,
    test: async (subject) => {
      tested.push(subject);
      await hold;
      upMs += 700;
      return judgeUplink(subject, NOTHING_FOUND);
    },
    reply: async (reply) => {
      if (reply.kind === 'uplink-report') sent.push(reply.report);
      happened.resolve();
      return true;
    },
    // Pauses are over at once; a wait without an end is left to the waker.
    clock: {
      nowMs: () => wallMs,
      monotonicMs: () => upMs,
      sleep: (durationMs, signal) => {
        pausesMs.push(durationMs);
        return durationMs < 60_000
          ? Promise.resolve()
          : new Promise((_, reject) => {
              rested.resolve();
              signal?.addEventListener('abort', () => reject(new Error('over')), { once: true });
            });
      },
    },
    random: () => 0,
    log,
    signal: ending.signal,
  });
  return tests;
}
const until = async (holds: () => boolean): Promise<void> => {
  while (!holds()) await new Promise((resolve) => setImmediate(resolve));
};
const lease = (ifname: string, address: string) => ({
  ifname,
  address,
  dns: [],
  bootstrapServers: ['https://boot.example'],
});

describe('a box without an owner', () => {
  it('tests when it gets an address, once for each set of them, against bootstrap servers', async () => {
    mkdirSync(paths().factory, { recursive: true });
    writeFileSync(join(paths().factory, 'bootstrap-servers'), '# built in\nhttps://built-in.example:8443\n');
    const tests = await start();
    void tests.run(ending.signal);
    const wan = facts.ports.filter(({ role }) => role === 'wan');
    facts = { ...facts, leases: [lease(wan[0]?.ifname ?? '', '192.0.2.7/24')] };
    tests.wake();
    await until(() => tests.read().beforeBootstrap !== undefined && tests.read().running === undefined);
    expect(tested.map(({ name, metered, address }) => [name, metered, address])).toEqual(
      wan.map(({ label }, index) => [label, true, index === 0 ? '192.0.2.7/24' : undefined]),
    );
    expect(tested[0]?.targets).toEqual([
      { host: 'boot.example', port: 443 },
      { host: 'built-in.example', port: 8443 },
    ]);
    expect(tests.forInstaller()?.line).toContain('fails');
    const first = tests.read().report?.id;
    tests.wake();
    facts = { ...facts, leases: [lease(wan[0]?.ifname ?? '', '192.0.2.8/24')] };
    tests.wake();
    await until(() => tests.read().report?.id !== first);
    expect(sent).toEqual([]);
  });
});

it('a box whose clock is put right in a test tells how long that took all the same', async () => {
  const hold = Promise.withResolvers<void>();
  const tests = await start(hold.promise);
  await tests.start({}, 'asked-here');
  wallMs = 1_700_000_000_000;
  hold.resolve();
  await until(() => tests.read().running === undefined);
  const { startedAtMs = 0, endedAtMs = 0 } = tests.read().report ?? {};
  expect([endedAtMs, endedAtMs - startedAtMs]).toEqual([wallMs, tested.length * 700]);
});

it('a box whose addresses do not stay waits longer before each test', async () => {
  const tests = await start();
  void tests.run(ending.signal);
  const wan = facts.ports.find(({ role }) => role === 'wan')?.ifname ?? '';
  let last = tests.read().report?.id;
  for (let i = 1; i <= 3; i += 1) {
    facts = { ...facts, leases: [lease(wan, `192.0.2.${i}/24`)] };
    tests.wake();
    await until(() => tests.read().report?.id !== last && tests.read().running === undefined);
    last = tests.read().report?.id;
  }
  expect(pausesMs.filter((durationMs) => durationMs < 60_000)).toEqual([3_000, 6_000, 9_000]);
});

describe('a box in service', () => {
  beforeEach(() => {
    gatewayId = 'branch1';
    spec = SPEC;
    connected = true;
  });

  it('tests once in its life, and sends the report until the controller has it', async () => {
    const tests = await start();
    void tests.run(ending.signal);
    await happened.promise;
    const id = tests.read().report?.id ?? '';
    expect(tests.read().report).toMatchObject({ occasion: 'after-bootstrap', gatewayId: 'branch1' });
    expect(tested.map(({ name }) => name)).toEqual(SPEC.uplinks.map(({ name }) => name));
    ending.abort();

    ending = new AbortController();
    sent = [];
    tested = [];
    happened = Promise.withResolvers();
    const again = await start();
    void again.run(ending.signal);
    await happened.promise;
    expect(sent.map((report) => report.id)).toEqual([id]);
    again.wake();
    await again.stored('another');
    await again.stored(id);
    expect(sent).toHaveLength(1);
    ending.abort();

    ending = new AbortController();
    sent = [];
    rested = Promise.withResolvers();
    const last = await start();
    const over = last.run(ending.signal);
    await rested.promise;
    ending.abort();
    await over;
    expect([sent, tested]).toEqual([[], []]);
  });

  it('goes on where the disk does not take that the controller has a report', async () => {
    // No file can take its place.
    mkdirSync(join(paths().state, 'uplink-test/stored'), { recursive: true });
    const tests = await start();
    void tests.run(ending.signal);
    await happened.promise;
    await expect(tests.stored(tests.read().report?.id ?? '')).resolves.toBeUndefined();
  });

  it('runs one test at a time, of an uplink it has, with the budget of its kind', async () => {
    const hold = Promise.withResolvers<void>();
    const tests = await start(hold.promise);
    await expect(tests.start({ uplink: 'nowhere' }, 'asked-here')).rejects.toMatchObject({
      code: 'uplink-test/nothing',
    });
    const [uplink] = SPEC.uplinks;
    const begun = await tests.start({ uplink: uplink?.name ?? '', budgetBytes: 70_000 }, 'ordered');
    expect(begun.running?.uplink).toBe(uplink?.name);
    await expect(tests.start({}, 'asked-here')).rejects.toMatchObject({ code: 'uplink-test/busy' });
    hold.resolve();
    await until(() => tests.read().running === undefined);
    expect(tested.map(({ name, budgetBytes }) => [name, budgetBytes])).toEqual([[uplink?.name, 70_000]]);
    expect(tests.read().report).toMatchObject({ id: begun.running?.id, occasion: 'ordered' });
  });
});
