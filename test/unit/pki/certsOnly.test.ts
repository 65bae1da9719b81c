/** Messages that carry certificates alone, as EST answers: ours, and others' as openssl and Bouncy Castle write them. */
import { describe, expect, it } from 'vitest';
import { certsOnly, parseCertsOnly } from '../../../src/pki/cms.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { hasOpenssl, issue, makeCa, openssl } from './domain.ts';

const ca = makeCa();
const signer = issue(ca, { kind: 'voucher-signing', commonName: 'signer' });

it('carries certificates alone', () => {
  const names = parseCertsOnly(certsOnly([signer.certificate, ca.certificate])).map(
    (one) => one.subject.commonName,
  );
  expect(names.toSorted((a, b) => a?.localeCompare(b ?? '') ?? 0)).toEqual(['signer', 'Test CA']);
});

describe.skipIf(!hasOpenssl)('with openssl', () => {
  it('reads ours', () => {
    using tool = openssl();
    tool.write('c.der', certsOnly([signer.certificate, ca.certificate]));
    // OpenSSL 3.0 (Debian 12) writes `CN = signer`, 3.5 (Debian 13) `CN=signer`.
    expect(tool.run('pkcs7', '-inform', 'DER', '-in', 'c.der', '-print_certs')).toMatch(/CN ?= ?signer/);
  });

  it('reads its certs-only message', () => {
    using tool = openssl();
    tool.write('a.pem', ca.certificate.pem + signer.certificate.pem);
    tool.run('crl2pkcs7', '-nocrl', '-certfile', 'a.pem', '-outform', 'DER', '-out', 'p7');
    expect(parseCertsOnly(tool.read('p7'))).toHaveLength(2);
  });

  it('reads certs-only messages with a CRL, a certificate twice, and lengths that are not said', () => {
    using tool = openssl();
    tool.write('ca', ca.certificate.pem);
    tool.write('ca.key', exportPrivateKey(ca.key).reveal());
    tool.write('c', '[ca]\ndefault_ca=d\n[d]\ndatabase=index\ndefault_md=sha256\ndefault_crl_days=9\n');
    tool.write('index', '');
    tool.run('ca', '-gencrl', '-config', 'c', '-cert', 'ca', '-keyfile', 'ca.key', '-out', 'crl');
    tool.write('all', ca.certificate.pem + signer.certificate.pem + ca.certificate.pem);
    tool.run('crl2pkcs7', '-in', 'crl', '-certfile', 'all', '-outform', 'DER', '-out', 'p7');
    const names = (bytes: Uint8Array) => parseCertsOnly(bytes).map(({ subject }) => subject.commonName);
    expect(names(tool.read('p7'))).toEqual(['Test CA', 'signer', 'Test CA']);
    tool.run('crl', '-in', 'crl', '-outform', 'DER', '-out', 'crl.der');
    const open = (tag: number, ...parts: readonly Uint8Array[]): Buffer =>
      Buffer.concat([Buffer.of(tag, 0x80), ...parts, Buffer.of(0, 0)]);
    const oid = (arcs: string): Buffer => Buffer.from(`06092a864886f70d0107${arcs}`, 'hex');
    // As Bouncy Castle writes: every length but those of the certificates and the list.
    const certificates = open(0xa0, ca.certificate.der, signer.certificate.der);
    const lists = open(0xa1, tool.read('crl.der'));
    const none = open(0x30, oid('01'));
    const signed = open(
      0x30,
      Buffer.from('020101', 'hex'),
      open(0x31),
      none,
      certificates,
      lists,
      open(0x31),
    );
    expect(names(open(0x30, oid('02'), open(0xa0, signed)))).toEqual(['Test CA', 'signer']);
  });

  it('leaves out of a certs-only message what nothing here can use, and says so where that is all', () => {
    using tool = openssl();
    const ask = ['-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=Other', '-days', '9'];
    tool.run('req', ...ask, '-keyout', 'k', '-out', 'other.pem');
    tool.write('a.pem', ca.certificate.pem);
    const both = ['-certfile', 'other.pem', '-certfile', 'a.pem'];
    tool.run('crl2pkcs7', '-nocrl', ...both, '-outform', 'DER', '-out', 'p7');
    tool.run('crl2pkcs7', '-nocrl', '-certfile', 'other.pem', '-outform', 'DER', '-out', 'alone');
    expect(parseCertsOnly(tool.read('p7')).map(({ spkiSha256 }) => spkiSha256)).toEqual([
      ca.certificate.spkiSha256,
    ]);
    expect(() => parseCertsOnly(tool.read('alone'))).toThrow(/ed25519/i);
  });
});
