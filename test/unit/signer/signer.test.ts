/** The signer over its real socket, held against what it must not sign and what a box makes of what it did. */
import { mkdtemp, rename, rm, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { callJson } from '../../../src/controller/keyholder/call.ts';
import { createKeyFiles } from '../../../src/controller/keyholder/keyFiles.ts';
import { createSignerClient } from '../../../src/controller/signer/client.ts';
import { anchorsAfter } from '../../../src/bootstrap/rollover.ts';
import { DesiredAnswer } from '../../../src/controller/signer/messages.ts';
import { beginRollover, signByNext } from '../../../src/controller/signer/rollover.ts';
import { serveSigner } from '../../../src/controller/signer/server.ts';
import type { DesiredState } from '../../../src/model/desired.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { verifyConveyed } from '../../../src/pki/conveyed.ts';
import { verifyJws } from '../../../src/pki/jws.ts';
import { generateKeyPair, sameKey } from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { createRequest } from '../../../src/pki/request.ts';
import { createClock } from '../../../src/system/linux/clock.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { createLogger } from '../../../src/system/linux/logger.ts';
import { openssl, refusal } from '../pki/domain.ts';

let directory = '';
let socketPath = '';
let stop: () => Promise<void> = async () => {};

async function start(): Promise<() => Promise<void>> {
  const ending = new AbortController();
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const served = serveSigner({
    files: createFiles(),
    clock: createClock(),
    log: createLogger({ name: 'signer', write: () => {} }),
    directory: join(directory, 'state'),
    socketPath,
    signal: ending.signal,
    onListening: resolve,
  });
  served.catch(reject);
  await promise;
  return async () => {
    ending.abort();
    await served;
  };
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'bbt-signer-'));
  socketPath = join(directory, 'run', 'signer.sock');
  stop = await start();
});
afterAll(async () => {
  await stop();
  await rm(directory, { recursive: true });
});

const client = () => createSignerClient({ socketPath });
const pair = generateKeyPair();
const csr = createRequest({ key: pair.privateKey, commonName: 'somebody-else' });

const DESIRED: DesiredState = {
  schema: 1,
  gatewayId: 'branch1',
  epoch: 1,
  generation: 2,
  notBefore: 0,
  spec: {
    role: 'branch',
    site: 'one',
    fleet: { asn: 65_000, tenantMtu: 1390, vtepRange: '10.255.0.0/16', tunnelRange: '10.254.0.0/16' },
    vtep: '10.255.0.11',
    controller: {
      mqtt: { host: 'controller.branchbox.example', port: 8883 },
      device: { host: 'controller.branchbox.example', port: 8446 },
    },
    uplinks: [
      {
        name: 'internet',
        slot: 1,
        port: 'wan1',
        colour: 'internet',
        addressing: { kind: 'dhcp' },
        metered: false,
      },
    ],
    tunnels: [],
    overlay: { reflectors: [], clients: [] },
    segments: [],
    ports: [],
    apps: [],
  },
};

it('keeps its socket and its keys to its own user', async () => {
  expect((await stat(socketPath)).mode & 0o777).toBe(0o600);
  expect((await stat(join(directory, 'state', 'domain-ca.pem'))).mode & 0o777).toBe(0o600);
});

it('assigns the name of an LDevID, whatever the request asks', async () => {
  const { domain } = await client().anchors();
  const { certificate, chain } = await client().ldevid({ csr, gatewayId: 'branch1', validityDays: 1 });
  expect(certificate.subject.commonName).toBe('branch1');
  expect(sameKey(certificate.publicKey, pair.publicKey)).toBe(true);
  expect(certificate.notAfterMs).toBeLessThanOrEqual(Date.now() + 86_400_000);
  const options = { leaf: certificate, intermediates: chain, anchors: [domain], atMs: Date.now() };
  expect(await validateChain({ ...options, extendedKeyUsage: OID.clientAuth })).toHaveLength(2);
});

it('names services so that none can be taken for a box', async () => {
  const service = await client().clientCertificate({ csr, service: 'controller' });
  expect(service.certificate.subject.commonName).toBe('controller.service');
  expect(await refusal(client().ldevid({ csr, gatewayId: 'controller.service' }))).toBe('model/invalid');
  const server = await client().serverCertificate({
    csr,
    dnsNames: ['c.example'],
    ipAddresses: ['192.0.2.1'],
  });
  expect(server.certificate.extendedKeyUsage).toEqual([OID.serverAuth]);
});

it('signs a desired state that a box accepts, and none that it would refuse', async () => {
  const { domain } = await client().anchors();
  const jws = await client().desired(DESIRED);
  const { payload } = await verifyJws(jws, { anchors: [domain], atMs: Date.now() });
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(DESIRED);
  const target = { tls: false, target: { socketPath }, peer: 'signer' } as const;
  const sign = (payload: string) =>
    callJson(
      target,
      { method: 'POST', path: '/desired', body: { payload: Buffer.from(payload).toString('base64') } },
      DesiredAnswer,
    );
  expect(await refusal(sign('{}'))).toBe('model/invalid');
  expect(await refusal(sign('no JSON'))).toBe('model/invalid');
});

it('signs an order that a box accepts, and none that it would refuse', async () => {
  const order = {
    schema: 1,
    order: 'factory-reset',
    gatewayId: 'branch1',
    wireguardPublicKey: `${'A'.repeat(42)}A=`,
  } as const;
  const anchors = [(await client().anchors()).domain];
  const { payload } = await verifyJws(await client().order(order), { anchors, atMs: Date.now() });
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(order);
  // A desired state is none: what one route signs, another never does.
  expect(await refusal(client().order(Object(DESIRED)))).toBe('model/invalid');
});

it('signs onboarding information with the owner certificate, and nothing else with it', async () => {
  const { domain } = await client().anchors();
  const configuration = Buffer.from('{}').toString('base64');
  const information = { 'ietf-sztp-conveyed-info:onboarding-information': { configuration } };
  const { conveyed, ownerCertificate } = await client().conveyed(information);
  const options = { ownerCertificate, pinnedDomainCert: domain, atMs: Date.now() };
  const { content } = await verifyConveyed(conveyed, options);
  expect(JSON.parse(Buffer.from(content).toString())).toEqual(information);
  expect(await refusal(client().conveyed({ anything: 1 }))).toBe('model/invalid');
});

it('signs revocation lists whose number grows, over a restart too, and takes nothing that is no number', async () => {
  using tool = openssl();
  const { domain } = await client().anchors();
  tool.write('ca.pem', domain.pem);
  const revoked = [{ number: 'a1'.repeat(20), revokedAtMs: Date.now(), reason: 'certificateHold' as const }];
  const numberOf = async (): Promise<number> => {
    const { der, nextUpdateMs } = await client().revocationList(revoked);
    expect(nextUpdateMs).toBeGreaterThan(Date.now() + 9 * 86_400_000);
    tool.write('list.pem', toPemBlock('X509 CRL', der));
    expect(tool.judgeList('list.pem', 'ca.pem')).toBe('verify OK');
    const text = tool.run('crl', '-in', 'list.pem', '-text', '-noout');
    expect(text).toContain(`Serial Number: ${'A1'.repeat(20)}`);
    return Number(/CRL Number: *\n *(\d+)/.exec(text)?.[1]);
  };
  // At once: within one second.
  const [first, second, third] = [await numberOf(), await numberOf(), await numberOf()];
  expect([second - first, third - second].every((step) => step >= 1)).toBe(true);
  await stop();
  stop = await start();
  expect(await numberOf()).toBeGreaterThan(third);
  for (const number of ['', 'xyz', 'a', 'aa'.repeat(21)]) {
    const wrong = revoked.map((entry) => ({ ...entry, number }));
    expect(await refusal(client().revocationList(wrong))).toBe('model/invalid');
  }
});

it('keeps its domain over a restart, and refuses a second signer on its socket', async () => {
  const { domain } = await client().anchors();
  expect(await refusal(start())).toBe('controller/conflict');
  await stop();
  expect(await refusal(client().anchors())).toBe('controller/unreachable');
  stop = await start();
  expect((await client().anchors()).domain.fingerprintSha256).toBe(domain.fingerprintSha256);
});

it('offers the next domain CA once it was begun, vouched for both ways as openssl verifies, and begins it once', async () => {
  expect((await client().anchors()).offered).toEqual([]);
  const begin = () =>
    beginRollover({ files: createFiles(), clock: createClock(), directory: join(directory, 'state') });
  const made = await begin();
  expect((await begin()).map(({ pem }) => pem)).toEqual(made.map(({ pem }) => pem));
  const { domain, offered } = await client().anchors();
  expect(offered.map(({ pem }) => pem)).toEqual(made.map(({ pem }) => pem));
  const [next, newWithOld, oldWithNew] = offered;
  const after = await anchorsAfter({ anchors: [domain], offered, atMs: Date.now() });
  expect(after.map(({ pem }) => pem)).toEqual([domain.pem, next?.pem]);
  using tool = openssl();
  const [old, fresh] = [tool.write('old.pem', domain.pem), tool.write('new.pem', next?.pem ?? '')];
  const verify = (anchor: string, link: string | undefined) =>
    tool.run('verify', '-CAfile', anchor, tool.write('link.pem', link ?? ''));
  expect(verify(old, newWithOld?.pem)).toContain('OK');
  expect(verify(fresh, oldWithNew?.pem)).toContain('OK');
  // What is signed is signed by the present one.
  const { chain } = await client().ldevid({ csr, gatewayId: 'branch1' });
  expect(chain.at(-1)?.pem).toBe(domain.pem);
});

describe('once the next domain CA signs', () => {
  let old: Certificate;
  let next: Certificate;
  let signing: string;
  let meanwhile: string;
  beforeAll(async () => {
    const state = { files: createFiles(), directory: join(directory, 'state') };
    old = (await client().anchors()).domain;
    const [made] = await beginRollover({ ...state, clock: createClock() });
    if (made === undefined) throw new Error('no rollover was begun');
    next = made;
    signing = (await signByNext(state)).pem;
    // From its next start on, and not in the midst of an answer.
    meanwhile = (await client().anchors()).domain.pem;
    await stop();
    stop = await start();
  });
  const now = () => Date.now();

  it('vouchers pin it, and the one before counts still', async () => {
    expect([signing, meanwhile]).toEqual([next.pem, old.pem]);
    const { domain, previous } = await client().anchors();
    expect([domain.pem, previous.map(({ pem }) => pem)]).toEqual([next.pem, [old.pem]]);
  });

  it('what it certifies is trusted by who knows it, and by who knows the one before alone', async () => {
    const ldevid = await client().ldevid({ csr, gatewayId: 'branch1' });
    const server = await client().serverCertificate({ csr, dnsNames: ['controller.example'] });
    for (const { certificate, chain } of [ldevid, server]) {
      expect(chain.at(-1)?.pem).toBe(next.pem);
      // As a server shows it: the anchor is left out.
      const shown = { leaf: certificate, intermediates: chain.slice(0, -1), atMs: now() };
      expect((await validateChain({ ...shown, anchors: [next] })).length).toBe(2);
      expect((await validateChain({ ...shown, anchors: [old] })).at(-1)?.pem).toBe(old.pem);
      await expect(validateChain({ ...shown, intermediates: [], anchors: [old] })).rejects.toThrow(
        /no path leads/,
      );
    }
  });

  it('so are desired states and onboarding information', async () => {
    const jws = await client().desired(DESIRED);
    for (const anchor of [next, old]) await verifyJws(jws, { anchors: [anchor], atMs: now() });
    const configuration = Buffer.from('{}').toString('base64');
    const { conveyed, ownerCertificate } = await client().conveyed({
      'ietf-sztp-conveyed-info:onboarding-information': { configuration },
    });
    for (const pinnedDomainCert of [next, old]) {
      await verifyConveyed(conveyed, { ownerCertificate, pinnedDomainCert, atMs: now() });
    }
  });

  it('whoever comes new learns the one before, and whoever was away for all of it learns the next', async () => {
    const { domain, offered } = await client().anchors();
    const all = [domain, ...offered];
    const learned = async (anchor: Certificate) =>
      (await anchorsAfter({ anchors: [anchor], offered: all, atMs: now() })).map(({ pem }) => pem);
    expect(await learned(next)).toEqual([next.pem, old.pem]);
    expect(await learned(old)).toEqual([old.pem, next.pem]);
  });

  it('each CA signs a list of its own, as openssl verifies', async () => {
    using tool = openssl();
    const revoked = [{ number: 'a1', revokedAtMs: now(), reason: 'certificateHold' as const }];
    const { der, others } = await client().revocationList(revoked);
    const files = [next, old].map((ca, index) => tool.write(`ca${index}.pem`, ca.pem));
    const lists = [der, ...others].map((one, index) => {
      tool.write(`list${index}.pem`, toPemBlock('X509 CRL', one));
      return tool.judgeList(`list${index}.pem`, `ca${index}.pem`);
    });
    expect([files.length, lists]).toEqual([2, ['verify OK', 'verify OK']]);
  });

  it('neither CA has its own key certified', async () => {
    const keyFiles = createKeyFiles({ files: createFiles(), directory: join(directory, 'state') });
    for (const name of ['domain-ca', 'domain-ca-next']) {
      const ca = await keyFiles.load(name);
      if (ca === undefined) throw new Error(`${name} is not there`);
      const request = createRequest({ key: ca.key });
      expect(await refusal(client().ldevid({ csr: request, gatewayId: 'branch1' }))).toBe(
        'controller/refused',
      );
    }
  });

  it('and is lost, the signer does not start, and makes no other', async () => {
    await stop();
    const at = (name: string): string => join(directory, 'state', name);
    await rename(at('domain-ca-next.pem'), at('aside'));
    expect(await refusal(start())).toBe('system/file');
    await rename(at('aside'), at('domain-ca-next.pem'));
    stop = await start();
    expect((await client().anchors()).domain.pem).toBe(next.pem);
  });
});

it('lets no next domain CA sign that was not begun', async () => {
  const nothing = { files: createFiles(), directory: join(directory, 'nothing') };
  expect(await refusal(signByNext(nothing))).toBe('system/file');
});

it('begins no rollover where there is no domain CA', async () => {
  const options = { files: createFiles(), clock: createClock(), directory: join(directory, 'nothing') };
  expect(await refusal(beginRollover(options))).toBe('system/file');
});
