/** What keeps a box from its broker: found out by the agent, told to the identity process, said in the same words by both. */
import { mkdtemp, rm } from 'node:fs/promises';
import { createServer } from 'node:net';
import { once } from 'node:events';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { createControllerLink } from '../../../src/agent/controllerLink.ts';
import { createIdentityTelling } from '../../../src/agent/identityTelling.ts';
import { obstacleOfEnd } from '../../../src/agent/mqttSession.ts';
import { serveLocalApi } from '../../../src/bootstrap/localApi.ts';
import { renderStatus } from '../../../src/bootstrap/renderStatus.ts';
import type { BootstrapState } from '../../../src/model/bootstrap.ts';
import { type BrokerProblem, OBSTACLE_SENTENCES, OBSTACLES } from '../../../src/model/obstacle.ts';
import { askSocket } from '../../../src/system/askSocket.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { issue, makeCa } from '../pki/domain.ts';
import { storedIdentity } from './storedIdentity.ts';

const ca = makeCa();
const box = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' });
const wan1 = { ifname: 'wan1', address: '127.0.0.2', dns: [], alive: true };
const failing = async (code: string) => {
  throw Object.assign(new Error(`queryA ${code} broker.example`), { code });
};

/** The first thing that a link says of a controller at this address. */
async function firstProblem(host: string, port: number): Promise<{ problem: BrokerProblem; told: string }> {
  const found = Promise.withResolvers<BrokerProblem>();
  const ending = new AbortController();
  const link = createControllerLink({
    identity: async () => storedIdentity(ca, box, { host, port }),
    dialer: createUplinkDialer({
      leases: () => [wan1],
      askServers: (_uplink, ask) =>
        ask({ resolve4: () => failing('ENOTFOUND'), resolve6: () => failing('ENOTFOUND') }),
      log,
    }),
    uplinks: () => [wan1],
    endpoint: () => ({ host, port }),
    onDesired: () => undefined,
    onCommand: () => undefined,
    onState: () => undefined,
    onProblem: (problem) => problem !== undefined && found.resolve(problem),
    onRevoked: () => undefined,
    onRefused: () => undefined,
    clock: {
      nowMs: () => 0,
      monotonicMs: () => performance.now(),
      sleep: (_, signal) =>
        new Promise((_resolve, reject) => signal?.addEventListener('abort', () => reject(signal.reason))),
    },
    log,
  });
  const running = link.run(ending.signal).catch(() => undefined);
  const problem = await found.promise;
  const told = link.state().lastProblem ?? '';
  ending.abort();
  await running;
  return { problem, told };
}

describe('what a link says of a controller', () => {
  it('whose name nobody knows', async () => {
    const { problem, told } = await firstProblem('broker.example', 1);
    expect(problem).toMatchObject({ obstacle: 'name', detail: expect.stringContaining('ENOTFOUND') });
    expect(told.startsWith(`${OBSTACLE_SENTENCES.name.why} (`)).toBe(true);
  });
  it('whose port refuses', async () => {
    const server = createServer().listen(0, '127.0.0.1');
    await once(server, 'listening');
    const address = server.address();
    const port = typeof address === 'object' && address !== null ? address.port : 0;
    server.close();
    await once(server, 'close');
    const { problem, told } = await firstProblem('127.0.0.1', port);
    expect(problem).toMatchObject({
      obstacle: 'connection',
      detail: expect.stringContaining('ECONNREFUSED'),
    });
    expect(told).toContain(OBSTACLE_SENTENCES.connection.why);
  });
});

it('is that no uplink has an address, where none has', async () => {
  const dialer = createUplinkDialer({ leases: () => [], log });
  await expect(dialer.connectTls({ host: '127.0.0.1', port: 1, tls: {} })).rejects.toMatchObject({
    fields: { obstacle: 'no-uplink' },
  });
});

it.each([
  ['the broker ended it: Not authorized', 'not-authorised'],
  ["this box's certificate was revoked at the controller", 'not-authorised'],
  ['40:error:0A000418:SSL routines::tlsv1 alert unknown ca', 'not-authorised'],
  [
    'the broker saw no certificate of this box: its key cannot be used (branchbox bootstrap status)',
    'own-key',
  ],
  ['the broker does not answer', 'connection'],
  ['wan1 lost its address', 'connection'],
])('%s is %s', (why, obstacle) => expect(obstacleOfEnd(why)).toBe(obstacle));

const statusIn = (state: BootstrapState, broker: BrokerProblem | undefined) =>
  renderStatus({
    history: [{ state, enteredAtMs: 1, note: {} }],
    serial: 'S',
    gatewayId: undefined,
    broker,
    lastProblem: undefined,
  });

it.each(OBSTACLES)(
  'a box that waits for its first desired state says that %s keeps it from it',
  (obstacle) => {
    const { why, mend } = OBSTACLE_SENTENCES[obstacle];
    expect(statusIn('STRICT', { obstacle, detail: 'wan1' })).toMatchObject({
      waitsFor: `its controller: ${why}`,
      mend,
      lastProblem: `${why} (wan1)`,
    });
    // A committed state needs nobody.
    expect(statusIn('OPERATIONAL', { obstacle, detail: 'wan1' })).toMatchObject({ waitsFor: 'nothing' });
  },
);

it('is told to the identity process until it is over, and nothing else is taken there', async () => {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-broker-'));
  const socketPath = join(directory, 'identity.sock');
  const ending = new AbortController();
  const heard: (BrokerProblem | undefined)[] = [];
  let next = Promise.withResolvers<void>();
  await serveLocalApi({
    files: createFiles(),
    socketPath,
    log,
    status: async () => statusIn('STRICT', heard.at(-1)),
    broker: (problem) => {
      heard.push(problem);
      next.resolve();
    },
    signal: ending.signal,
  });
  const { broker } = createIdentityTelling({ socketPath, log });
  const problem: BrokerProblem = { obstacle: 'clock', detail: 'wan1' };
  for (const told of [problem, undefined]) {
    next = Promise.withResolvers<void>();
    broker(told);
    await next.promise;
    expect(heard.at(-1)).toEqual(told);
  }
  const bad = { path: '/broker', timeoutMs: 5_000, maxAnswerBytes: 1_000 };
  for (const body of ['', '{', '{"problem":{"obstacle":"weather","detail":""}}', 'x'.repeat(9_000)])
    expect((await askSocket({ socketPath }, { ...bad, body })).status).toBe(400);
  expect(heard).toHaveLength(2);
  ending.abort();
  await rm(directory, { recursive: true });
});
