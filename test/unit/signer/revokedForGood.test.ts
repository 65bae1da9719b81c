/** What is revoked for good at the signer, over its real socket: on every list from then on, whoever asks for one. */
import { mkdir, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, expect, it } from 'vitest';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { createFiles } from '../../../src/system/linux/files.ts';
import { openssl, refusal } from '../pki/domain.ts';
import { csr, useSigner } from './signerWorld.ts';

const signer = useSigner();
const SERVER = { csr, dnsNames: ['controller.example'] };
const FILE = 'revoked-for-good.json';
const restart = async (): Promise<void> => {
  await signer.stop();
  await signer.start();
};
afterEach(async () => {
  await createFiles().remove(join(signer.state, FILE));
  await restart();
});
/** number → reason of the next list, for which the controller names `named`, as openssl reads it. */
async function listed(...named: readonly string[]): Promise<Record<string, string>> {
  const revoked = named.map((number) => ({ number, revokedAtMs: 1, reason: 'certificateHold' as const }));
  const { der } = await signer.client().revocationList(revoked);
  using tool = openssl();
  tool.write('list.pem', toPemBlock('X509 CRL', der));
  const text = tool.run('crl', '-in', 'list.pem', '-noout', '-text');
  const entries = [...text.matchAll(/Serial Number: (\w+)$[^]*?Reason Code: *\n *(.+)$/gm)];
  const reasons = entries.map(([, number = '', reason = '']) => [number.toLowerCase(), reason] as const);
  expect(new Set(reasons.map(([number]) => number)).size).toBe(reasons.length);
  return Object.fromEntries(reasons);
}

it('stands on each list from then on, over a restart, and whatever the controller names', async () => {
  const { certificate } = await signer.client().serverCertificate(SERVER);
  const { number } = certificate;
  expect(await listed()).toEqual({});
  const entry = await signer.client().revoke(number, 'keyCompromise');
  expect(await listed()).toEqual({ [number]: 'Key Compromise' });
  // Who broke into the controller asks for it as one that may leave the list, then for a list without it.
  expect(await listed(number, '0a')).toEqual({ [number]: 'Key Compromise', '0a': 'Certificate Hold' });
  expect(await listed()).toEqual({ [number]: 'Key Compromise' });
  await restart();
  expect(await listed()).toEqual({ [number]: 'Key Compromise' });
  // Again: the first word stands.
  expect(await signer.client().revoke(number, 'superseded')).toEqual(entry);
  expect(await signer.client().revokedForGood()).toEqual([entry]);
});

it('is revoked, as openssl sees it, and another certificate is not', async () => {
  using tool = openssl();
  const revoked = await signer.client().serverCertificate(SERVER);
  const good = await signer.client().serverCertificate(SERVER);
  await signer.client().revoke(revoked.certificate.number, 'superseded');
  const { der } = await signer.client().revocationList([]);
  tool.write('list.pem', toPemBlock('X509 CRL', der));
  tool.write('ca.pem', (await signer.client().anchors()).domain.pem);
  tool.write('revoked.pem', revoked.certificate.pem);
  tool.write('good.pem', good.certificate.pem);
  const verify = (name: string) =>
    tool.run('verify', '-crl_check', '-CAfile', 'ca.pem', '-CRLfile', 'list.pem', name);
  expect(verify('good.pem')).toBe('good.pem: OK\n');
  expect(() => verify('revoked.pem')).toThrow(/certificate revoked/);
});

it("is none of the signer's own, no reason that may leave a list again, and no number that is none", async () => {
  const { domain, owner, configurationSigning } = await signer.client().anchors();
  for (const { number } of [domain, owner, configurationSigning]) {
    expect(await refusal(signer.client().revoke(number, 'keyCompromise'))).toBe('controller/refused');
  }
  expect(await refusal(signer.client().revoke('0a', Object('certificateHold')))).toBe('model/invalid');
  for (const number of ['', 'a', 'aa'.repeat(21), '../x']) {
    expect(await refusal(signer.client().revoke(number, 'keyCompromise'))).toBe('model/invalid');
  }
  expect(await listed()).toEqual({});
});

it('is never forgotten for a file that cannot be read: the signer does not start', async () => {
  await signer.client().revoke('0a', 'keyCompromise');
  await signer.stop();
  await writeFile(join(signer.state, FILE), '{"schema":1,"revoked":[{"num');
  expect(await refusal(signer.start())).toBe('model/invalid');
});

it('that the disk did not take is on no list', async () => {
  await signer.stop();
  await createFiles().remove(join(signer.state, FILE));
  await signer.start();
  // In the file's place, so that it cannot be put there.
  await mkdir(join(signer.state, FILE, 'x'), { recursive: true });
  expect(await refusal(signer.client().revoke('0a', 'keyCompromise'))).toBe('system/file');
  expect(await listed()).toEqual({});
  await rm(join(signer.state, FILE), { recursive: true });
  await signer.client().revoke('0a', 'keyCompromise');
  expect(await listed()).toEqual({ '0a': 'Key Compromise' });
});
