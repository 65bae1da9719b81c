/**
 * Rows of the fault table: a manufacturer whose signer has an RSA key and signs vouchers by RSASSA-PSS (RFC 4056), with
 * openssl, and what of it a box refuses. Chains of it: test/unit/pki/rsaPss.test.ts.
 */
import { createPublicKey, generateKeyPairSync } from 'node:crypto';
import { describe } from 'vitest';
import { issueCertificate } from '../../../../src/pki/issue.ts';
import { OID } from '../../../../src/pki/oids.ts';
import { hasOpenssl, openssl } from '../../pki/domain.ts';
import { DAY_MS, NOW_MS, SERIAL } from '../authorities.ts';
import { createFaultBench } from '../faultBench.ts';
import { type FaultRow, faultTable, firstFailure, OWNED, refusedUnowned } from './table.ts';

const bench = createFaultBench();
const RSA = generateKeyPairSync('rsa', { modulusLength: 2048 })
  .privateKey.export({ type: 'pkcs8', format: 'pem' })
  .toString();
const PSS = 'rsa_padding_mode:pss';
const salted = (bytes: number, ...more: readonly string[]): string[] =>
  [PSS, `rsa_pss_saltlen:${bytes}`, ...more].flatMap((word) => ['-keyopt', word]);

function voucherBy(how: readonly string[], nonce: Uint8Array): Buffer {
  const { manufacturer, idevid, domain } = bench.authorities;
  const signer = issueCertificate({
    profile: { kind: 'voucher-signing', commonName: 'RSA vouchers' },
    publicKey: createPublicKey(RSA),
    issuer: manufacturer,
    validity: { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 90 * DAY_MS },
  });
  const base64 = (bytes: Uint8Array | undefined): string => Buffer.from(bytes ?? []).toString('base64');
  const voucher = {
    'created-on': new Date(NOW_MS).toISOString(),
    assertion: 'verified',
    'serial-number': SERIAL,
    'idevid-issuer': base64(idevid.certificate.authorityKeyId),
    'pinned-domain-cert': base64(domain.certificate.der),
    nonce: base64(nonce),
  };
  using tool = openssl();
  tool.write('key', RSA);
  tool.write('crt', signer.pem);
  tool.write('in', JSON.stringify({ 'ietf-voucher:voucher': voucher }));
  const form = ['-binary', '-nodetach', '-econtent_type', OID.voucherJson, '-outform', 'DER'];
  tool.run('cms', '-sign', ...form, '-in', 'in', '-signer', 'crt', '-inkey', 'key', '-out', 'out', ...how);
  return tool.read('out');
}
const vouchersBy = (how: readonly string[], bend: (der: Buffer) => void = () => undefined): void => {
  bench.controller.behaviour.artefacts = (nonce) => {
    const voucher = voucherBy(how, nonce);
    bend(voucher);
    return { ...bench.good.artefacts(nonce), voucher };
  };
};
const refuses = (
  fault: string,
  told: string,
  how: readonly string[],
  bend?: (der: Buffer) => void,
): FaultRow => ({
  fault,
  must: 'refuse it, keep nothing of it, go on asking',
  outcome: 'pki/untrusted in PROVISIONAL; mended',
  told: `pki/untrusted: The signature of signed data is refused: ${told}`,
  run: () => {
    vouchersBy(how, bend);
    return refusedUnowned(bench);
  },
});

describe.skipIf(!hasOpenssl)('vouchers of openssl', () => {
  faultTable('voucher by RSASSA-PSS', [
    {
      fault: 'none: SHA-256 in all, and as much salt',
      must: 'take it',
      outcome: 'OWNED',
      told: OWNED,
      run: () => {
        vouchersBy(['-md', 'sha256', ...salted(32)]);
        return firstFailure(bench, 'OWNED');
      },
    },
    refuses('SHA-1 in all', 'its digest is not accepted', ['-md', 'sha1', ...salted(20)]),
    refuses(
      'SHA-1 in the mask',
      'it is signed with RSASSA-PSS and another hash in its mask than of the content',
      salted(32, 'rsa_mgf1_md:sha1'),
    ),
    refuses(
      'a salt that is too short',
      'it is signed with RSASSA-PSS and a salt of 20 bytes: 32 are the least',
      salted(20),
    ),
    refuses('no salt', 'it is signed with RSASSA-PSS and a salt of 0 bytes: 32 are the least', salted(0)),
    refuses('one bit flipped in its signature', 'it does not fit the content', salted(32), (der) => {
      der[der.length - 3] = (der[der.length - 3] ?? 0) ^ 1;
    }),
  ]);
});
