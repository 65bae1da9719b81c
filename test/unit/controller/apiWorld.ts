/**
 * Owns the REST API in process, over a real store in memory, with whoever it asks played by the test: anew for each test,
 * and each answer held against the API's description.
 */
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach } from 'vitest';
import { openAdminCredential } from '../../../src/controller/adminCredential.ts';
import { createApi } from '../../../src/controller/api/server.ts';
import { createCaDrop } from '../../../src/controller/caDrop.ts';
import { createDomainTrust } from '../../../src/controller/domainTrust.ts';
import { openBlobs } from '../../../src/controller/blobs.ts';
import { BUNDLES } from '../../../src/controller/uploads.ts';
import { createFirmwareStore } from '../../../src/controller/firmware.ts';
import { createMedia } from '../../../src/controller/media.ts';
import { createMembership } from '../../../src/controller/membership.ts';
import { createInvitations } from '../../../src/controller/moving.ts';
import type { MoveWish } from '../../../src/controller/orders.ts';
import { createPresence } from '../../../src/controller/presence.ts';
import { createRenewal } from '../../../src/controller/renewal.ts';
import { createServiceRevocations } from '../../../src/controller/serviceRevocations.ts';
import type { RevokedForGoodEntry } from '../../../src/controller/signer/messages.ts';
import type { VoucherWish } from '../../../src/controller/manufacturer/client.ts';
import { openSqliteStore } from '../../../src/controller/store/sqlite.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import type { Owner } from '../../../src/model/bootstrap.ts';
import { Secret } from '../../../src/model/secret.ts';
import type { Credential } from '../../../src/pki/issue.ts';
import type { UplinkTestRequest } from '../../../src/model/uplinkReport.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { createAnswerCheck } from './openapi.ts';
import { issue, makeCa, serverNamed } from '../pki/domain.ts';
import { CONTROLLER } from './fixtures.ts';
import { makeServerCredential } from './wire.ts';

export const RELEASE = (() => {
  const ca = makeCa('Release CA');
  return { ca, key: issue(ca, { kind: 'firmware-signing', commonName: 'release' }) };
})();
/** For those who do not call it in process. */
export const WIRE = makeServerCredential();
/** In the midst of a rollover: the next one signs. */
export const DOMAIN_CAS = { first: makeCa('First CA'), next: makeCa('Next CA') };
/** Of the controller itself; `next` is what the server has once the first one is not to be used any more. */
export const SERVICE_CERTIFICATES = {
  server: issue(DOMAIN_CAS.next, serverNamed('controller.example')),
  next: issue(DOMAIN_CAS.next, serverNamed('controller.example')),
  client: issue(DOMAIN_CAS.next, { kind: 'client', commonName: 'controller.service' }),
};
const clock = { nowMs: () => 1_000, monotonicMs: () => 0, sleep: async () => undefined };

export type RunningApi = Awaited<ReturnType<typeof startApi>>;

/** On the loopback, by TLS of `WIRE`; its port. */
export async function listenTo({ api: { server } }: RunningApi): Promise<number> {
  const listening = once(server, 'listening');
  server.listen(0, '127.0.0.1');
  await listening;
  return (server.address() as AddressInfo).port;
}

/** The same, as the words by which a command line finds and is let in to it. */
export async function accessTo(running: RunningApi): Promise<readonly string[]> {
  const port = await listenTo(running);
  const ca = join(running.directory, 'ca.pem');
  const credential = join(running.directory, 'credential');
  await writeFile(ca, WIRE.anchorPem);
  await writeFile(credential, running.token);
  return ['--api', `https://localhost:${port}`, '--ca', ca, '--credential', credential];
}

/** Before each test of the file that calls this, and inside of `given` whatever they all stand on. */
export function useApi(given: (fresh: RunningApi) => unknown): void {
  let running: RunningApi | undefined;
  const checks = createChecks();
  beforeEach(async () => {
    running = await startApi(checks);
    await given(running);
  });
  afterEach(async () => {
    await running?.api.close();
    if (running !== undefined) await rm(running.directory, { recursive: true, force: true });
  });
}

/**
 * Each API describes itself with the same words, whatever it is made of. Reading them, and compiling what they say, takes
 * longer than most tests: done once.
 */
function createChecks(): (api: { readonly swagger: () => unknown }) => ReturnType<typeof createAnswerCheck> {
  let check: ReturnType<typeof createAnswerCheck> | undefined;
  return (api) => (check ??= createAnswerCheck(JSON.parse(JSON.stringify(api.swagger()))));
}

async function startApi(checks: ReturnType<typeof createChecks>) {
  const directory = await mkdtemp(join(tmpdir(), 'bbt-controller-'));
  const store = openSqliteStore(':memory:');
  const log = createLogger({ name: 'test', write: () => undefined });
  const path = join(directory, 'admin.credential');
  const admin = await openAdminCredential({ store, files: createFiles(), path, log });
  const token = ((await createFiles().readText(path)) ?? '').trim();
  const changes: number[] = [];
  const kept = { maxBytes: 4096, suffix: '.tar', what: 'the bundle' };
  const bundles = await openBlobs({ ...kept, ...BUNDLES, directory: join(directory, 'bundles') });
  const firmware = createFirmwareStore({
    store: store.firmware,
    blobs: await openBlobs({ ...kept, directory: join(directory, 'firmware') }),
    anchors: [RELEASE.ca.certificate],
    clock,
  });
  const ailments: string[] = [];
  const triggered: number[] = [];
  const resets: string[] = [];
  const conveyed: unknown[] = [];
  const wishes: VoucherWish[] = [];
  const drops: string[] = [];
  const followFails: Error[] = [];
  const disowned: string[] = [];
  const orders = {
    factoryReset: async (gatewayId: string, actor: string) => {
      resets.push(`${gatewayId} by ${actor}`);
      return 'resetting to factory state';
    },
    testUplinks: async (gatewayId: string, request: UplinkTestRequest, actor: string) => {
      resets.push(`${gatewayId} tests ${request.uplink ?? 'all'} for ${actor}`);
      return 'testing; the report follows';
    },
    move: async (gatewayId: string, { invitation, withinS }: MoveWish, actor: string) => {
      resets.push(`${gatewayId} moves within ${withinS} s for ${actor}`);
      const { serial, gatewayId: becomes } = invitation;
      const there = { to: 'next.example', becomes, domainCaSha256: 'ab', message: 'moving' };
      return { gatewayId, serial, ...there };
    },
  };
  const onInventoryChange = () => void triggered.push(triggered.length);
  const { fleet, activations, admissions, pending } = createMembership({
    store,
    controller: CONTROLLER,
    firmware: firmware.offered,
    onFleetChange: () => void changes.push(changes.length),
    onInventoryChange,
    clock,
    log,
  });
  const signer = {
    conveyed: async (information: unknown) => {
      conveyed.push(information);
      return { conveyed: Buffer.from('conveyed'), ownerCertificate: Buffer.from('owner') };
    },
  };
  const caDrop = createCaDrop({
    store,
    fleet,
    admissions,
    signer: { drop: async (sha256) => void drops.push(`signer ${sha256}`) },
    trust: createDomainTrust({
      manufacturers: [],
      domain: DOMAIN_CAS.next.certificate,
      previous: [DOMAIN_CAS.first.certificate],
    }),
    follow: async () => {
      if (followFails.length > 0) throw followFails.pop();
      drops.push('followed');
    },
    clock,
    log,
  });
  const lists: number[] = [];
  const revokedForGood: RevokedForGoodEntry[] = [];
  const credentialOf = ({ certificate }: Credential) => ({
    key: new Secret('a key'),
    certificatePem: certificate.pem,
    notAfterMs: certificate.notAfterMs,
  });
  const credentialsBy = (server: Credential) => ({
    server: credentialOf(server),
    client: credentialOf(SERVICE_CERTIFICATES.client),
  });
  const serviceRevocations = createServiceRevocations({
    renewal: createRenewal({
      ensure: async () => credentialsBy(SERVICE_CERTIFICATES.next),
      first: credentialsBy(SERVICE_CERTIFICATES.server),
      hand: async () => undefined,
      clock,
      log,
    }),
    signer: {
      async revoke(number, reason) {
        const entry = { number, revokedAtMs: clock.nowMs(), reason };
        revokedForGood.push(entry);
        return entry;
      },
      revokedForGood: async () => revokedForGood,
    },
    store,
    listAnew: () => void lists.push(lists.length),
    clock,
    log,
  });
  const ownerOf = (gatewayId: string): Owner => ({
    schema: 1,
    gatewayId,
    est: { host: 'controller.example', port: 1 },
    ...CONTROLLER,
    domainAnchorPem: RELEASE.ca.certificate.pem,
  });
  const context = {
    store,
    fleet,
    bundles,
    firmware,
    orders,
    activations,
    presence: createPresence({ clock }),
    caDrop,
    serviceRevocations,
    invitations: createInvitations({ store, admissions, signer, domain: RELEASE.ca.certificate, ownerOf }),
    media: createMedia({
      store,
      admissions,
      signer,
      manufacturer: {
        requestVoucher: async (wish) => {
          wishes.push(wish);
          return Buffer.from('voucher');
        },
      },
      domain: RELEASE.ca.certificate,
      ownerOf,
      bootstrapServer: 'https://controller.example:8443',
      clock,
    }),
    manufacturer: { release: async (serial: string) => void disowned.push(serial) },
    revocationList: () => Buffer.from('a list'),
    pending,
    onInventoryChange,
    clock,
  };
  const away: string[] = [];
  const api = await createApi({
    context,
    admin,
    tls: WIRE.tls,
    log,
    ailments: () => ailments,
    peersAway: async () => away,
  });
  await api.ready();
  // Whatever a test asks for, the answer is as the API describes it.
  const check = checks(api);
  const call = async (
    method: 'GET' | 'HEAD' | 'PUT' | 'POST' | 'PATCH' | 'DELETE' | 'TRACE',
    url: string,
    body?: unknown,
    headers: Record<string, string> = {},
  ) => {
    const response = await api.inject({
      method,
      url,
      headers: { authorization: `Bearer ${token}`, ...headers },
      ...(body === undefined
        ? {}
        : { payload: typeof body === 'string' || Buffer.isBuffer(body) ? body : Object(body) }),
    });
    const text = response.body;
    check(method, url, { status: response.statusCode, headers: response.headers, text });
    return {
      status: response.statusCode,
      etag: response.headers.etag,
      headers: response.headers,
      text,
      // An answer to HEAD says what it would be, without being it.
      json:
        text !== '' && response.headers['content-type']?.toString().includes('json') === true
          ? JSON.parse(text)
          : undefined,
    };
  };
  return {
    api,
    call,
    token,
    directory,
    store,
    changes,
    ailments,
    away,
    resets,
    triggered,
    conveyed,
    wishes,
    drops,
    followFails,
    lists,
    disowned,
  };
}
