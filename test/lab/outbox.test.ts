/**
 * A box's events over a controller that is away: the agent's own outbox on disk, reporting and connection, against the
 * real controller and its mosquitto, through an outage, a flood of events on either bound, and a killed agent.
 */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { z } from 'zod';
import { type ControllerLink, createControllerLink } from '../../src/agent/controllerLink.ts';
import { createReporting, type Reporting } from '../../src/agent/reporting.ts';
import { Secret } from '../../src/model/secret.ts';
import { createClock } from '../../src/system/linux/clock.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { createLogger } from '../../src/system/linux/logger.ts';
import { createUplinkDialer } from '../../src/system/uplinkDial.ts';
import { createOutbox, type Outbox } from '../../src/telemetry/outbox.ts';
import { statusWith } from '../unit/controller/statusFixture.ts';
import { type ControllerWorld, createControllerWorld } from './controllerWorld.ts';
import type { Running } from './processes.ts';
import { quietRootTree } from './quietRootTree.ts';

const MAX_EVENTS = 2_000;
const MAX_BYTES = 512 * 1024;
const GATEWAY = 'branch1';
const Stored = z.array(
  z.object({ number: z.number(), id: z.string(), kind: z.string(), sentence: z.string() }),
);

let world: ControllerWorld;
let controller: Running;
beforeAll(async () => {
  world = await createControllerWorld(await quietRootTree());
  controller = await world.startController();
  await world.fleet('inventory', `SN-${GATEWAY}`);
  await writeFile(
    world.at('fleet.toml'),
    `[fleet]
name = "test"
[[gateways]]
id = "${GATEWAY}"
serial = "SN-${GATEWAY}"
role = "branch"
site = "here"
vtep = "10.255.0.1"
uplinks = [{ name = "internet", port = "wan1" }]
`,
  );
  await world.fleet('apply', world.at('fleet.toml'));
  await world.enrol(await world.newIdentity(`SN-${GATEWAY}`));
});
afterAll(() => world.remove());

interface Agent {
  readonly outbox: Outbox;
  readonly reporting: Reporting;
  /** Until the controller said that it has an event of that kind. */
  stored(kind: string): Promise<void>;
  /** As SIGKILL: nothing is closed. */
  kill(): Promise<void>;
}

/** The parts of an agent that tell events, put together as its main does. */
async function startAgent(): Promise<Agent> {
  const [clock, files, log] = [
    createClock(),
    createFiles(),
    createLogger({ name: 'agent', write: () => undefined }),
  ];
  const box = world.at(`box-SN-${GATEWAY}`);
  const [key, certificatePem, anchorPem] = await Promise.all(
    [join(box, 'ldevid.key'), join(box, 'ldevid.crt'), world.at('anchors/domain.pem')].map((path) =>
      readFile(path, 'utf8'),
    ),
  );
  const endpoint = { host: '127.0.0.1', port: world.ports.mqtt };
  const identity = {
    gatewayId: GATEWAY,
    key: new Secret(key ?? ''),
    certificatePem: certificatePem ?? '',
    anchorPem: anchorPem ?? '',
    anchors: [],
    owner: {
      schema: 1 as const,
      gatewayId: GATEWAY,
      est: endpoint,
      mqtt: endpoint,
      device: endpoint,
      domainAnchorPem: anchorPem ?? '',
    },
  };
  const ending = new AbortController();
  const outbox = createOutbox({
    path: world.at('agent/outbox.sqlite'),
    nowMs: clock.nowMs,
    log,
    maxEvents: MAX_EVENTS,
    maxBytes: MAX_BYTES,
  });
  const { schema: _, sequence: __, sentAtMs: ___, ...body } = statusWith(GATEWAY, { sequence: 1, seed: 1 });
  const known = new Map<string, string>();
  const waiting = new Map<string, () => void>();
  const queue = {
    ...outbox,
    pending(limit: number) {
      const events = outbox.pending(limit);
      for (const { id, kind } of events) known.set(id, kind);
      return events;
    },
  };
  const link: ControllerLink = createControllerLink({
    identity: async () => identity,
    dialer: createUplinkDialer({ leases: () => [], log }),
    uplinks: () => [{ ifname: 'lo', address: '127.0.0.1', dns: [], alive: true }],
    endpoint: () => endpoint,
    onDesired: () => undefined,
    onCommand(command) {
      if (command.kind !== 'events-stored') return;
      reporting.stored(command.ids);
      for (const id of command.ids) waiting.get(known.get(id) ?? '')?.();
    },
    onState: () => (link.state().connected ? reporting.connected() : reporting.changed()),
    onProblem: () => undefined,
    onRevoked: () => undefined,
    onRefused: () => undefined,
    clock,
    log,
  });
  const reporting = await createReporting({
    read: async () => body,
    onStatus: () => undefined,
    onTurn: () => undefined,
    send: (topic, text) => link.send(topic, text),
    queue,
    files,
    sequencePath: world.at('agent/sequence'),
    clock,
    log,
  });
  const running = Promise.all([link.run(ending.signal), reporting.run(ending.signal)]);
  return {
    outbox,
    reporting,
    stored: (kind) => new Promise((resolve) => void waiting.set(kind, resolve)),
    async kill() {
      ending.abort();
      await running;
    },
  };
}

/** All that the controller has, oldest first. */
async function atController(): Promise<z.output<typeof Stored>> {
  const all: z.output<typeof Stored> = [];
  for (;;) {
    const after = all.at(-1)?.number ?? 0;
    const page = Stored.parse(
      await world.api(`/api/v1/gateways/${GATEWAY}/events?limit=1000&after=${after}`),
    );
    if (page.length === 0) return all;
    all.push(...page);
  }
}

const everything = (outbox: Outbox) => outbox.pending(MAX_EVENTS * 2);
const bytesOf = (outbox: Outbox): number =>
  everything(outbox).reduce(
    (sum, event) => sum + Buffer.byteLength(JSON.stringify({ ...event, id: undefined })),
    0,
  );

it('are kept within bounds, the newest of them, and the gap is told when they are all there', async () => {
  let agent = await startAgent();
  const first = agent.stored('agent-started');
  agent.reporting.emit('agent-started', 'agent', 'The agent started.');
  await first;
  await controller.end('SIGTERM');

  // More than may be: by number.
  for (let i = 0; i < 3_000; i += 1) agent.reporting.emit('path-changed', 'path', `small ${i}`);
  expect(everything(agent.outbox).map(({ sentence }) => sentence)).toEqual(
    Array.from({ length: MAX_EVENTS }, (_, i) => `small ${1_000 + i}`),
  );
  expect(agent.outbox.dropped()).toBe(1_000);

  await agent.kill();
  agent = await startAgent();
  expect(everything(agent.outbox)[0]?.sentence).toBe('small 1000');
  expect(agent.outbox.dropped()).toBe(1_000);

  // By size: what is new pushes out what is old, and more of it than it is itself.
  for (let i = 0; i < 200; i += 1) {
    agent.reporting.emit('app-changed', 'app', `large ${i} ${'x'.repeat(1_900)}`);
  }
  const kept = everything(agent.outbox);
  expect(bytesOf(agent.outbox)).toBeLessThanOrEqual(MAX_BYTES);
  expect(kept.length).toBeLessThan(MAX_EVENTS);
  expect(kept.at(-1)?.sentence).toMatch(/^large 199 /);
  // Pages of the database and of its log, which SQLite folds in at 4 MiB.
  const sizes = await Promise.all(
    ['', '-wal'].map(async (suffix) => (await stat(world.at(`agent/outbox.sqlite${suffix}`))).size),
  );
  for (const size of sizes) expect(size).toBeLessThan(8 * 1024 * 1024);

  const lost = agent.outbox.dropped();
  expect(lost).toBe(3_200 - kept.length);
  const told = agent.stored('events-dropped');
  controller = await world.startController();
  await told;
  const events = await atController();
  expect(events.map(({ sentence }) => sentence)).toEqual([
    'The agent started.',
    ...kept.map(({ sentence }) => sentence),
    expect.stringMatching(`^${lost} events were dropped unsent, the oldest first`),
  ]);
  expect(new Set(events.map(({ id }) => id)).size).toBe(events.length);
  expect([everything(agent.outbox), agent.outbox.dropped()]).toEqual([[], 0]);
  await agent.kill();
});
