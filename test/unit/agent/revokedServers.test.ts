/**
 * Whom the agent believes where its owner revoked servers, under a clock that is right: real sessions of TLS, which the library
 * itself has nothing against.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createServer, type Server } from 'node:tls';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { connectController } from '../../../src/agent/controllerDial.ts';
import { atKnownTime, readOwnIdentity } from '../../../src/agent/ownIdentity.ts';
import { AGENT_PATHS } from '../../../src/agent/paths.ts';
import { createRevocationList } from '../../../src/pki/crl.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createTpmUse } from '../../../src/system/tpmUse.ts';
import { createUplinkDialer } from '../../../src/system/uplinkDial.ts';
import { silentLog as log } from '../../fakes/silentLog.ts';
import { DAY_MS, issue, makeCa, serverHere } from '../pki/domain.ts';
import { storedIdentity } from './storedIdentity.ts';

const nowMs = Date.now();
const when = { notBeforeMs: nowMs - 30 * DAY_MS, notAfterMs: nowMs + DAY_MS };
const ca = makeCa('Domain CA', when);
const broker = issue(ca, serverHere('broker'), when);
const other = issue(ca, serverHere('broker'), when);
const listOf = (number: string, ageDays = 0): string =>
  createRevocationList({
    issuer: ca,
    number: 1,
    thisUpdateMs: nowMs - ageDays * DAY_MS,
    nextUpdateMs: nowMs - ageDays * DAY_MS + 10 * DAY_MS,
    revoked: [{ number, revokedAtMs: Date.UTC(2026, 5, 1), reason: 'keyCompromise' }],
  }).pem;

let directory = '';
let server: Server;
beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-revoked-'));
  const stored = storedIdentity(ca);
  await writeFile(join(directory, 'owner.json'), JSON.stringify(stored.owner));
  await writeFile(join(directory, 'ldevid.key'), stored.key.reveal());
  await writeFile(join(directory, 'ldevid.crt'), stored.certificatePem);
  const key = exportPrivateKey(broker.key).reveal();
  server = createServer({ cert: broker.certificate.pem, key, requestCert: true, rejectUnauthorized: false });
  server.on('secureConnection', (socket) => socket.on('error', () => {}));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
});
afterEach(async () => {
  server.close();
  await rm(directory, { recursive: true });
});

const uplinks = [{ ifname: 'wan1', address: '127.0.0.2', dns: [] }];
/** By what the identity process left on the disk. */
async function dial(): Promise<void> {
  const stored = await readOwnIdentity(
    createFiles(),
    { ...AGENT_PATHS, identity: directory },
    createTpmUse(),
  );
  const address = server.address();
  const { socket } = await connectController(
    {
      dialer: createUplinkDialer({ leases: () => uplinks, log }),
      uplinks,
      endpoint: {
        host: '127.0.0.1',
        port: typeof address === 'object' && address !== null ? address.port : 0,
      },
      identity: atKnownTime(stored ?? expect.unreachable(), { atMs: nowMs, wallMs: nowMs }),
    },
    new AbortController().signal,
  );
  socket.destroy();
}
const keep = (pem: string): Promise<void> => writeFile(join(directory, 'revocation-lists.pem'), pem);

it.each([
  ['a list of today', 0],
  ['a list that is overdue', 25],
])('refuses the broker that %s names, and says why', async (_what, ageDays) => {
  await keep(listOf(broker.certificate.number, ageDays));
  await expect(dial()).rejects.toMatchObject({
    code: 'controller/unreachable',
    problems: [
      {
        path: 'wan1',
        message: expect.stringContaining('showed the certificate "broker" that its owner revoked 2026-06-01'),
      },
    ],
    fields: { obstacle: 'peer' },
  });
});

it.each([
  ['no list', undefined],
  ['a list that names another server', listOf(other.certificate.number)],
  ['an overdue one that names another server', listOf(other.certificate.number, 25)],
  ['one that the disk spoilt', '-----BEGIN X509 CRL-----\nAA'],
])('believes it by %s', async (_what, pem) => {
  if (pem !== undefined) await keep(pem);
  await dial();
});

it('refuses a stranger as before, whatever the list says', async () => {
  await keep(listOf(other.certificate.number));
  const stranger = makeCa('Domain CA', when);
  await writeFile(
    join(directory, 'owner.json'),
    JSON.stringify({ ...storedIdentity(ca).owner, domainAnchorPem: stranger.certificate.pem }),
  );
  await expect(dial()).rejects.toMatchObject({ fields: { obstacle: 'peer' } });
});
