/**
 * A session that stands while its server's certificate is revoked: the real link over real TLS to a broker by hand, by what
 * the identity process would have left on the disk.
 */
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { TLSSocket } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type ControllerLink, createControllerLink } from '../../../src/agent/controllerLink.ts';
import { atKnownTime } from '../../../src/agent/ownIdentity.ts';
import type { BrokerProblem } from '../../../src/model/obstacle.ts';
import { createRevocationList } from '../../../src/pki/crl.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { DAY_MS, issue, makeCa, serverHere } from '../pki/domain.ts';
import { BROKER, BROKER_CA, handBroker, obliging } from './handBroker.ts';
import { storedIdentity } from './storedIdentity.ts';

const nowMs = Date.now();
const REVOKED = /^127\.0\.0\.1 showed the certificate "broker" that its owner revoked 2026-06-01/;
const when = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS };
const nextBroker = issue(BROKER_CA, serverHere('broker'), when);
const listOf = (number: string, ca: ReturnType<typeof makeCa> = BROKER_CA): string =>
  createRevocationList({
    issuer: ca,
    number: 1,
    thisUpdateMs: nowMs,
    nextUpdateMs: nowMs + 10 * DAY_MS,
    revoked: [{ number, revokedAtMs: Date.UTC(2026, 5, 1), reason: 'keyCompromise' }],
  }).pem;

let lists: string | undefined;
/** Each read of the identity, and so each look at the session, is one. */
let reads: number;
let sessions: TLSSocket[];
let problems: (BrokerProblem | undefined)[];
let told: string[];
let broker: ReturnType<typeof handBroker>;
let link: ControllerLink;
let end: () => Promise<void>;
const isConnected = () => expect.poll(() => link.state().connected).toBe(true);

beforeEach(async () => {
  [lists, reads, sessions, problems, told] = [undefined, 0, [], [], []];
  broker = handBroker(obliging, (socket) => sessions.push(socket));
  broker.listen(0, '127.0.0.1');
  await once(broker, 'listening');
  const address = broker.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  const endpoint = { host: '127.0.0.1', port };
  const stored = storedIdentity(BROKER_CA, issue(BROKER_CA, { kind: 'ldevid', gatewayId: 'branch1' }, when));
  link = createControllerLink({
    identity: async () => {
      reads += 1;
      return atKnownTime({ ...stored, revocationListsPem: lists }, { atMs: nowMs, wallMs: nowMs });
    },
    dialer: createUplinkDialer({ leases: () => [], log }),
    uplinks: () => [{ ifname: 'wan1', address: '127.0.0.2', dns: [], alive: true }],
    endpoint: () => endpoint,
    onDesired: () => undefined,
    onCommand: () => undefined,
    onState: () => undefined,
    onProblem: (problem) => problems.push(problem),
    onRefused: () => undefined,
    onRevoked: (why) => told.push(why),
    clock: {
      nowMs: Date.now,
      monotonicMs: () => performance.now(),
      sleep: (_durationMs, signal) => sleep(5, undefined, { signal }),
    },
    log,
  });
  const ending = new AbortController();
  const running = link.run(ending.signal);
  end = async () => {
    ending.abort();
    for (const socket of sessions) socket.destroy();
    broker.close();
    await running;
  };
  await isConnected();
});
afterEach(() => end());

/** The identity process took a list. */
const take = async (pem: string): Promise<void> => {
  lists = pem;
  const before = reads;
  link.wake();
  await expect.poll(() => reads).toBeGreaterThan(before);
};

it('ends at once when a list names its server, is refused from then on, and both are said in the same words', async () => {
  await take(listOf(BROKER.certificate.number));
  await expect.poll(() => problems.findLast((problem) => problem !== undefined)).toBeDefined();
  expect(told).toEqual([expect.stringMatching(REVOKED)]);
  expect(link.state().connected).toBe(false);
  const [why = ''] = told;
  expect(problems.at(-1)).toEqual({ obstacle: 'peer', detail: expect.stringContaining(why) });
  expect(link.state().lastProblem).toContain(why);

  // The owner's new certificate is let in, and by the same list.
  broker.setSecureContext({
    cert: nextBroker.certificate.pem,
    key: exportPrivateKey(nextBroker.key).reveal(),
  });
  link.wake();
  await isConnected();
  expect(problems.at(-1)).toBeUndefined();
  await take(`${listOf(BROKER.certificate.number)}\n`);
  expect(told).toHaveLength(1);
});

it.each([
  ['names another server', listOf(nextBroker.certificate.number)],
  ['names its number, and is of another CA', listOf(BROKER.certificate.number, makeCa('Another CA', when))],
  ['the disk spoilt', '-----BEGIN X509 CRL-----\nAA'],
])('goes on over a list that %s', async (_what, pem) => {
  await take(pem);
  // What was read twice over was judged the first time.
  await take(pem);
  expect(told).toEqual([]);
  expect(link.state().connected).toBe(true);
  expect(sessions).toHaveLength(1);
});
