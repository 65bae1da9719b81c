/** The manufacturer's service and its client over real files and TLS, held against who may have which voucher. */
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import {
  createManufacturerClient,
  type ManufacturerClient,
} from '../../../src/controller/manufacturer/client.ts';
import { makeIdentity } from '../../../src/controller/manufacturer/identity.ts';
import { initManufacturer, type ManufacturerKeys } from '../../../src/controller/manufacturer/keys.ts';
import { serveManufacturer } from '../../../src/controller/manufacturer/server.ts';
import { Secret } from '../../../src/model/secret.ts';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { NO_EXPIRY_MS } from '../../../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair, sameKey } from '../../../src/pki/keys.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { createRequest } from '../../../src/pki/request.ts';
import { verifyVoucher } from '../../../src/pki/voucher.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { failAccept } from '../../fakes/failedAccept.ts';
import { DAY_MS, issue, makeCa, refusal } from '../pki/domain.ts';

const files = createFiles();
const clock = createClock();
const domain = makeCa('Domain CA', { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS });
const nonce = Buffer.alloc(16, 5);
let directory = '';
let url = '';
let keys: ManufacturerKeys;
let stop: () => Promise<void> = async () => {};

const factory = (serial: string) => join(directory, 'factory', serial);
const identity = (serial: string) =>
  makeIdentity({ files, clock, directory, serial, model: 'lab', out: factory(serial) });

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-manufacturer-'));
  keys = await initManufacturer({ files, clock, directory, dnsName: 'localhost', addresses: ['127.0.0.1'] });
  const ending = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const served = serveManufacturer({
    files,
    clock,
    log: createLogger({ name: 'manufacturer', write: () => {} }),
    directory,
    host: '127.0.0.1',
    port: 0,
    signal: ending.signal,
    onListening: resolve,
  });
  served.catch(reject);
  url = `https://localhost:${await promise}`;
  stop = async () => {
    ending.abort();
    await served;
  };
});
afterAll(async () => {
  await stop();
  await rm(directory, { recursive: true });
});

/** A customer of that name, its certificate issued by the service CA unless told otherwise. */
function customer(commonName: string, issuer = keys.serviceCa): ManufacturerClient {
  const validity = { notBeforeMs: Date.now() - DAY_MS, notAfterMs: Date.now() + DAY_MS };
  const { key, certificate } = issue(issuer, { kind: 'client', commonName }, validity);
  return createManufacturerClient({
    url,
    clientKey: exportPrivateKey(key),
    clientCertificate: certificate.pem,
    anchor: keys.serviceCa.certificate.pem,
  });
}
const wish = (serialNumber: string) => ({ serialNumber, nonce, pinnedDomainCert: domain.certificate });

it('goes on where it could not accept a connection', async () => {
  const { ping } = customer('controller');
  await failAccept(ping);
  await ping();
});

it('makes an identity whose voucher the box accepts', async () => {
  await identity('BB-1');
  const read = (name: string) => readFile(join(factory('BB-1'), name), 'utf8');
  const idevid = parseCertificate(await read('idevid.crt'));
  const anchors = [parseCertificate(await read('chain.pem'))];
  await validateChain({ leaf: idevid, intermediates: [], anchors, atMs: Date.now() });
  expect(idevid.subject.serialNumber).toBe('BB-1');
  expect(idevid.notAfterMs).toBe(NO_EXPIRY_MS);
  const voucher = await verifyVoucher(await customer('controller').requestVoucher(wish('BB-1')), {
    anchors: [parseCertificate(await read('voucher-anchor.pem'))],
    floorMs: 0,
    expect: { serialNumber: 'BB-1', nonce, idevidIssuer: idevid.authorityKeyId },
  });
  expect(voucher.pinnedDomainCert.fingerprintSha256).toBe(domain.certificate.fingerprintSha256);
});

it.each(['lab-', 'Lab', '../lab', ''])(
  'makes no identity that names a model as no box would read it: %s',
  async (model) => {
    const made = makeIdentity({
      files,
      clock,
      directory,
      serial: 'BB-MODEL',
      model,
      out: factory('BB-MODEL'),
    });
    await expect(made).rejects.toMatchObject({
      code: 'cli/usage',
      message: expect.stringContaining('hardware model'),
    });
  },
);

it('certifies a key that the box keeps, for the serial that its request names, and writes none', async () => {
  const { privateKey, publicKey } = generateKeyPair();
  const request = toPemBlock(
    'CERTIFICATE REQUEST',
    createRequest({ key: privateKey, commonName: 'anything', serialNumber: 'BB-REQUEST' }),
  );
  const make = (serial: string, text: string) =>
    makeIdentity({ files, clock, directory, serial, model: 'lab', out: factory(serial), request: text });
  const { spkiSha256 } = await make('BB-REQUEST', request);
  expect(await readdir(factory('BB-REQUEST'))).not.toContain('idevid.key');
  const idevid = parseCertificate(await readFile(join(factory('BB-REQUEST'), 'idevid.crt'), 'utf8'));
  expect(sameKey(idevid.publicKey, publicKey)).toBe(true);
  expect([idevid.spkiSha256, idevid.subject.serialNumber]).toEqual([spkiSha256, 'BB-REQUEST']);
  expect(idevid.subject.commonName).toBe('Branchbox lab');
  expect(await refusal(make('BB-OTHER', request))).toBe('pki/mismatch');
  expect(await refusal(make('BB-OTHER', 'no request'))).toBe('pki/malformed');
  expect(await readdir(directory)).not.toContain('BB-OTHER');
});

it('gives a box to its first owner until that lets go, and keeps an audit log', async () => {
  await identity('BB-2');
  const [first, second] = [customer('first'), customer('second')];
  const both = await Promise.all([first, second].map((one) => refusal(one.requestVoucher(wish('BB-2')))));
  expect(both.toSorted()).toEqual(['accepted', 'controller/refused']);
  const [winner, loser] = both[0] === 'accepted' ? [first, second] : [second, first];
  expect(await refusal(winner.requestVoucher(wish('BB-2')))).toBe('accepted');
  expect(await refusal(loser.release('BB-2'))).toBe('controller/refused');
  await winner.release('BB-2');
  expect(await refusal(loser.requestVoucher(wish('BB-2')))).toBe('accepted');
  const audit = await Promise.all(
    (await readdir(join(directory, 'audit/BB-2'))).map((name) =>
      readFile(join(directory, 'audit/BB-2', name), 'utf8'),
    ),
  );
  expect(audit.filter((entry) => entry.includes('"BB-2"'))).toHaveLength(3);
});

it('refuses strangers, an IDevID as a customer, unknown serials and bad wishes', async () => {
  const good = customer('controller');
  expect(await refusal(good.ping())).toBe('accepted');
  expect(await refusal(customer('x', makeCa('Stranger')).ping())).toBe('controller/unreachable');
  expect(await refusal(customer('x', makeCa('Stranger')).requestVoucher(wish('BB-1')))).toBe(
    'controller/unreachable',
  );
  const idevid = createManufacturerClient({
    url,
    clientKey: new Secret(await readFile(join(factory('BB-1'), 'idevid.key'), 'utf8')),
    clientCertificate: await readFile(join(factory('BB-1'), 'idevid.crt'), 'utf8'),
    anchor: keys.serviceCa.certificate.pem,
  });
  expect(await refusal(idevid.requestVoucher(wish('BB-1')))).toBe('controller/unreachable');
  expect(await refusal(good.requestVoucher(wish('BB-404')))).toBe('controller/not-found');
  expect(await refusal(good.requestVoucher(wish('../../etc/passwd')))).toBe('model/invalid');
  // RFC 8366 5.3: of whatever protocol the box that sent it spoke.
  for (const [bytes, told] of [
    [7, 'model/invalid'],
    [8, 'accepted'],
    [32, 'accepted'],
    [33, 'model/invalid'],
  ] as const)
    expect(await refusal(good.requestVoucher({ ...wish('BB-1'), nonce: Buffer.alloc(bytes) }))).toBe(told);
  const { nonce: _, ...nonceless } = wish('BB-1');
  expect(await refusal(good.requestVoucher(nonceless))).toBe('model/invalid');
  expect(await refusal(good.requestVoucher({ ...nonceless, expiresOnMs: Date.now() + DAY_MS }))).toBe(
    'accepted',
  );
  expect(await refusal(good.requestVoucher({ ...nonceless, expiresOnMs: Date.now() + 400 * DAY_MS }))).toBe(
    'model/invalid',
  );
  expect(await refusal(good.requestVoucher({ ...wish('BB-1'), idevidIssuer: Buffer.alloc(20) }))).toBe(
    'pki/mismatch',
  );
});

it('gives no voucher that outlives what it pins, and none for what has ended', async () => {
  await identity('BB-3');
  const good = customer('controller');
  const pinning = async (notAfterMs: number, days: number) => {
    const ca = makeCa('Ending CA', { notBeforeMs: Date.now() - 2 * DAY_MS, notAfterMs });
    const expiresOnMs = Date.now() + days * DAY_MS;
    const pinnedDomainCert = ca.certificate;
    const der = await good.requestVoucher({ serialNumber: 'BB-3', pinnedDomainCert, expiresOnMs });
    const anchors = [keys.voucherCa.certificate];
    const { subjectKeyId: idevidIssuer } = keys.ca.certificate;
    const expected = { serialNumber: 'BB-3', nonce: undefined, idevidIssuer };
    const voucher = await verifyVoucher(der, { anchors, floorMs: 0, expect: expected });
    return { ends: pinnedDomainCert.notAfterMs, asked: expiresOnMs, told: voucher.expiresOnMs ?? 0 };
  };
  const bounded = await pinning(Date.now() + 3 * DAY_MS, 30);
  expect(bounded.told).toBe(bounded.ends);
  const asAsked = await pinning(Date.now() + 30 * DAY_MS, 3);
  expect(asAsked.asked - asAsked.told).toBeLessThan(1_000);
  expect(await refusal(pinning(Date.now() - DAY_MS, 3))).toBe('model/invalid');
  const ended = makeCa('Ended CA', { notBeforeMs: Date.now() - 2 * DAY_MS, notAfterMs: Date.now() - DAY_MS });
  const nonced = { ...wish('BB-3'), pinnedDomainCert: ended.certificate };
  expect(await refusal(good.requestVoucher(nonced))).toBe('model/invalid');
});

it('gives a serial once, and init changes nothing that is there', async () => {
  expect(await refusal(identity('BB-1'))).toBe('controller/conflict');
  const again = await initManufacturer({
    files,
    clock,
    directory,
    dnsName: 'localhost',
    addresses: ['127.0.0.1'],
  });
  expect(again.voucherCa.certificate.fingerprintSha256).toBe(keys.voucherCa.certificate.fingerprintSha256);
  expect(again.tls.certificate.fingerprintSha256).toBe(keys.tls.certificate.fingerprintSha256);
});

it('does not write the identity of one box over that of another, whose key would be lost', async () => {
  await identity('BB-6');
  const key = await readFile(join(factory('BB-6'), 'idevid.key'), 'utf8');
  const over = makeIdentity({ files, clock, directory, serial: 'BB-7', model: 'lab', out: factory('BB-6') });
  await expect(over).rejects.toMatchObject({
    code: 'controller/conflict',
    message: expect.stringContaining('holds the identity of BB-6'),
  });
  expect(await readFile(join(factory('BB-6'), 'idevid.key'), 'utf8')).toBe(key);
  // Refused before its serial was given.
  expect((await identity('BB-7')).serial).toBe('BB-7');
});
