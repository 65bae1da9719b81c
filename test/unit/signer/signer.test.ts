/** The signer over its real socket, held against what it must not sign and what a box makes of what it did. */
import { readFile, stat, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { callJson } from '../../../src/controller/keyholder/call.ts';
import { DesiredAnswer } from '../../../src/controller/signer/messages.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { verifyConveyed } from '../../../src/pki/conveyed.ts';
import { verifyJws } from '../../../src/pki/jws.ts';
import { sameKey } from '../../../src/pki/keys.ts';
import { OID } from '../../../src/pki/oids.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { failAccept } from '../../fakes/failedAccept.ts';
import { openssl, refusal } from '../pki/domain.ts';
import { csr, DESIRED, pair, useSigner } from './signerWorld.ts';

const signer = useSigner();

it('keeps its socket and its keys to its own user', async () => {
  expect((await stat(signer.socketPath)).mode & 0o777).toBe(0o600);
  expect((await stat(join(signer.state, 'domain-ca.pem'))).mode & 0o777).toBe(0o600);
});

it('goes on where it could not accept a connection', async () => {
  await failAccept(() => signer.client().anchors());
  expect((await signer.client().anchors()).offered).toEqual([]);
});

it('assigns the name of an LDevID, whatever the request asks', async () => {
  const { domain } = await signer.client().anchors();
  const { certificate, chain } = await signer.client().ldevid({ csr, gatewayId: 'branch1', validityDays: 1 });
  expect(certificate.subject.commonName).toBe('branch1');
  expect(sameKey(certificate.publicKey, pair.publicKey)).toBe(true);
  expect(certificate.notAfterMs).toBeLessThanOrEqual(Date.now() + 86_400_000);
  const options = { leaf: certificate, intermediates: chain, anchors: [domain], atMs: Date.now() };
  expect(await validateChain({ ...options, extendedKeyUsage: OID.clientAuth })).toHaveLength(2);
});

it('names services so that none can be taken for a box', async () => {
  const service = await signer.client().clientCertificate({ csr, service: 'controller' });
  expect(service.certificate.subject.commonName).toBe('controller.service');
  expect(await refusal(signer.client().ldevid({ csr, gatewayId: 'controller.service' }))).toBe(
    'model/invalid',
  );
  const server = await signer.client().serverCertificate({
    csr,
    dnsNames: ['c.example'],
    ipAddresses: ['192.0.2.1'],
  });
  expect(server.certificate.extendedKeyUsage).toEqual([OID.serverAuth]);
});

it('signs a desired state that a box accepts, and none that it would refuse', async () => {
  const { domain } = await signer.client().anchors();
  const jws = await signer.client().desired(DESIRED);
  const { payload } = await verifyJws(jws, { anchors: [domain], atMs: Date.now() });
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(DESIRED);
  const target = { tls: false, target: { socketPath: signer.socketPath }, peer: 'signer' } as const;
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
  const anchors = [(await signer.client().anchors()).domain];
  const { payload } = await verifyJws(await signer.client().order(order), { anchors, atMs: Date.now() });
  expect(JSON.parse(Buffer.from(payload).toString())).toEqual(order);
  // A desired state is none: what one route signs, another never does.
  expect(await refusal(signer.client().order(Object(DESIRED)))).toBe('model/invalid');
});

it('signs onboarding information with the owner certificate, and nothing else with it', async () => {
  const { domain } = await signer.client().anchors();
  const configuration = Buffer.from('{}').toString('base64');
  const information = {
    'ietf-sztp-conveyed-info:onboarding-information': { 'configuration-handling': 'replace', configuration },
  };
  const { conveyed, ownerCertificate } = await signer.client().conveyed(information);
  const options = { ownerCertificate, pinnedDomainCert: domain, atMs: Date.now() };
  const { content } = await verifyConveyed(conveyed, options);
  expect(JSON.parse(Buffer.from(content).toString())).toEqual(information);
  expect(await refusal(signer.client().conveyed({ anything: 1 }))).toBe('model/invalid');
});

it('signs revocation lists whose number grows, over a restart too, and takes nothing that is no number', async () => {
  using tool = openssl();
  const { domain } = await signer.client().anchors();
  tool.write('ca.pem', domain.pem);
  const revoked = [{ number: 'a1'.repeat(20), revokedAtMs: Date.now(), reason: 'certificateHold' as const }];
  const numberOf = async (): Promise<number> => {
    const { der, nextUpdateMs } = await signer.client().revocationList(revoked);
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
  await signer.stop();
  await signer.start();
  expect(await numberOf()).toBeGreaterThan(third);
  for (const number of ['', 'xyz', 'a', 'aa'.repeat(21)]) {
    const wrong = revoked.map((entry) => ({ ...entry, number }));
    expect(await refusal(signer.client().revocationList(wrong))).toBe('model/invalid');
  }
});

it('does not start where the last list is not to be read: its number may have been given', async () => {
  await signer.client().revocationList([]);
  const path = join(signer.state, 'domain.crl');
  const last = await readFile(path, 'utf8');
  await signer.stop();
  for (const wrong of ['', last + last, last.slice(0, -40)]) {
    await writeFile(path, wrong);
    expect(await refusal(signer.start())).toBe('pki/malformed');
  }
  await writeFile(path, last);
  await signer.start();
});

it('keeps its domain over a restart, and refuses a second signer on its socket', async () => {
  const { domain } = await signer.client().anchors();
  expect(await refusal(signer.start())).toBe('controller/conflict');
  await signer.stop();
  expect(await refusal(signer.client().anchors())).toBe('controller/unreachable');
  await signer.start();
  expect((await signer.client().anchors()).domain.fingerprintSha256).toBe(domain.fingerprintSha256);
});
