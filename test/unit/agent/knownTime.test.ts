/**
 * Whom the agent believes under a clock that is wrong: real sessions of TLS whose certificates are of another time than this
 * machine's, so that the library refuses all of them for their dates, the wrong ones too.
 */
import { once } from 'node:events';
import { createServer, type Server } from 'node:tls';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { atKnownTime } from '../../../src/agent/ownIdentity.ts';
import { connectController } from '../../../src/agent/controllerDial.ts';
import { readTime } from '../../../src/agent/knownTime.ts';
import { createWayAhead } from '../../../src/agent/wayAhead.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createDeviceClient } from '../../../src/system/deviceClient.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { DAY_MS, issue, makeCa, serverHere } from '../pki/domain.ts';
import { storedIdentity } from './storedIdentity.ts';

/** As a box in 2045 sees what is of today; to this machine the same is of the past. */
const THEN_MS = Date.UTC(2010, 5, 1);
const validity = { notBeforeMs: THEN_MS - DAY_MS, notAfterMs: THEN_MS + DAY_MS };
/** As a box in 1970 does. */
const LATER_MS = Date.UTC(2060, 5, 1);
const later = { notBeforeMs: LATER_MS - DAY_MS, notAfterMs: LATER_MS + DAY_MS };
const local = serverHere('broker');
const elsewhere = { ...local, ipAddresses: ['192.0.2.1'] } as const;

let server: Server | undefined;
afterEach(() => server?.close());
async function listen({ certificate, key }: ReturnType<typeof issue>): Promise<number> {
  server = createServer(
    {
      cert: certificate.pem,
      key: exportPrivateKey(key).reveal(),
      requestCert: true,
      rejectUnauthorized: false,
    },
    (socket) => socket.on('error', () => {}),
  );
  server.on('tlsClientError', () => {});
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const address = server.address();
  return typeof address === 'object' && address !== null ? address.port : 0;
}

const uplinks = [{ ifname: 'wan1', address: '127.0.0.2', dns: [] }];
const dialer = createUplinkDialer({ leases: () => uplinks, log });
const wayTo = async (shown: ReturnType<typeof issue>, ca: ReturnType<typeof makeCa>, atMs: number) => ({
  dialer,
  uplinks,
  endpoint: { host: '127.0.0.1', port: await listen(shown) },
  identity: atKnownTime(storedIdentity(ca), { atMs, wallMs: Date.now() }),
});
const dial = async (shown: ReturnType<typeof issue>, ca: ReturnType<typeof makeCa>, atMs: number) =>
  connectController(await wayTo(shown, ca, atMs), new AbortController().signal);

describe.each([
  ['2045', THEN_MS, validity],
  ['1970', LATER_MS, later],
] as const)('a box in %s that knows the time', (_, atMs, when) => {
  const ca = makeCa('Domain CA', when);

  it('reaches its broker, and its controller’s device API', async () => {
    const way = await wayTo(issue(ca, local, when), ca, atMs);
    const { socket } = await connectController(way, new AbortController().signal);
    expect(socket.authorized).toBe(false);
    socket.destroy();
    const ahead = createWayAhead(log, { verdictTimeoutMs: 600_000 });
    expect(await ahead.make(way, 'wan1', new AbortController().signal)).toBe(true);
    ahead.drop();
    const asked = once(server ?? expect.unreachable(), 'secureConnection');
    const device = createDeviceClient({
      server: () => way.endpoint,
      credentials: async () => way.identity,
      dialer,
    });
    const ending = new AbortController();
    const answer = device.get('/part', { signal: ending.signal });
    const [session] = await asked;
    session.end('HTTP/1.1 204 \r\n\r\n');
    expect((await answer).statusCode).toBe(204);
  });

  it.each([
    [
      'of another CA under the same name',
      () => issue(makeCa('Domain CA', when), local, when),
      /refuses|not trusted/,
      'peer',
    ],
    ['for another name', () => issue(ca, elsewhere, when), /another name/, 'peer'],
    [
      'of a box',
      () => issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }, when),
      /another name|usage|refuses/,
      'peer',
    ],
    [
      'that ended by then',
      () => issue(ca, local, { notBeforeMs: when.notBeforeMs, notAfterMs: atMs - 1000 }),
      /not valid at that time: .* ended/,
      'clock',
    ],
    [
      'that has not begun by then',
      () => issue(ca, local, { notBeforeMs: atMs + 60_000, notAfterMs: when.notAfterMs }),
      /not valid at that time: .* begins/,
      'clock',
    ],
  ])('refuses one with a certificate %s', async (_what, shown, why, obstacle) => {
    await expect(dial(shown(), ca, atMs)).rejects.toMatchObject({
      code: 'controller/unreachable',
      problems: [{ path: 'wan1', message: expect.stringMatching(why) }],
      fields: { obstacle },
    });
  });
});

it('refuses what is valid by the system’s clock and has ended by what is known', async () => {
  const nowMs = Date.now();
  const when = { notBeforeMs: nowMs - DAY_MS, notAfterMs: nowMs + DAY_MS };
  const ca = makeCa('Domain CA', when);
  await expect(dial(issue(ca, local, when), ca, nowMs + 2 * DAY_MS)).rejects.toMatchObject({
    problems: [{ message: expect.stringMatching(/not valid at that time/) }],
  });
});

describe('the time that the identity process told', () => {
  let directory: string;
  const clock = { nowMs: () => 86_400_000, monotonicMs: () => 5_000, sleep: async () => undefined };
  const read = () => readTime({ files: createFiles(), clock, log }, join(directory, 'known-time.json'));
  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), 'bbt-time-'));
  });
  afterEach(() => rm(directory, { recursive: true }));

  it('goes on from when it was told', async () => {
    const moment = { momentMs: THEN_MS, monotonicMs: 4_000 };
    await writeFile(
      join(directory, 'known-time.json'),
      JSON.stringify({ schema: 1, floor: moment, witness: moment }),
    );
    expect(await read()).toEqual({ atMs: THEN_MS + 1_000, wallMs: 86_400_000 });
  });

  it.each([
    ['nothing', undefined],
    ['no JSON', '{'],
    ['something else', '{"schema":2}'],
    ['more than it can be', ' '.repeat(5_000)],
  ])('is the system’s where there is %s', async (_, text) => {
    if (text !== undefined) await writeFile(join(directory, 'known-time.json'), text);
    expect(await read()).toEqual({ atMs: 86_400_000, wallMs: 86_400_000 });
  });
});
