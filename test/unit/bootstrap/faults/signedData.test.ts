/** Rows of the fault table: signed data that a box must not believe, each wrong in one way. */
import { ownerCertificate, wrapConveyed } from '../../../../src/pki/conveyed.ts';
import { signData } from '../../../../src/pki/cms.ts';
import type { Credential } from '../../../../src/pki/issue.ts';
import { OID } from '../../../../src/pki/oids.ts';
import { createVoucher, type Voucher } from '../../../../src/pki/voucher.ts';
import { authority, DAY_MS, issued, NOW_MS, SERIAL } from '../authorities.ts';
import { conveyedBy, createFaultBench, ownerOf } from '../faultBench.ts';
import { onboarding } from '../servers.ts';
import { artefactRow } from './artefactRow.ts';
import { faultTable } from './table.ts';

const bench = createFaultBench();
const owner = () => ownerOf(bench);
const sign = (...what: [content: Uint8Array, by?: Credential]) => conveyedBy(bench, ...what);
const row = artefactRow(bench);

const voucherWith = (nonce: Uint8Array | undefined, bent: Partial<Voucher> = {}): Voucher => ({
  serialNumber: SERIAL,
  assertion: 'verified',
  createdOnMs: NOW_MS,
  expiresOnMs: undefined,
  nonce,
  idevidIssuer: bench.authorities.idevid.certificate.authorityKeyId,
  pinnedDomainCert: bench.authorities.domain.certificate,
  ...bent,
});
const voucher = (
  nonce: Uint8Array | undefined,
  bent?: Partial<Voucher>,
  signer = bench.authorities.voucherSigner,
) => ({
  voucher: createVoucher({ voucher: voucherWith(nonce, bent), signer }),
});
const flipBit = (der: Uint8Array, at: number): Uint8Array => {
  const bytes = Uint8Array.from(der);
  bytes[at] = (bytes[at] ?? 0) ^ 1;
  return bytes;
};
const stranger = () =>
  issued(bench.authorities.stranger, { kind: 'voucher-signing', commonName: 'vouchers' });

faultTable('voucher', [
  row(
    'of another serial',
    'pki/mismatch',
    'The voucher for BBX-0002 is not for this box now ($.serial-number is BBX-0002, this box is BBX-0001)',
    (nonce) => voucher(nonce, { serialNumber: 'BBX-0002' }),
  ),
  row(
    'replayed, with the nonce of another day',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now ($.nonce is not the one that was sent)',
    () => voucher(new Uint8Array(32).fill(7)),
  ),
  row(
    'nonceless, where one was asked with a nonce',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now ($.nonce is missing: the voucher may be an old one)',
    () => voucher(undefined, { expiresOnMs: NOW_MS + DAY_MS }),
  ),
  row(
    'whose pinned certificate is to be looked up as revoked or not, which a box cannot do',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now ($.domain-cert-revocation-checks asks for a check that a box cannot make)',
    (nonce) => voucher(nonce, { demandsRevocationChecks: true }),
  ),
  row(
    'nonceless and expired',
    'pki/mismatch',
    'The voucher for BBX-0001 is not for this box now ($.nonce is missing: the voucher may be an old one)',
    () => voucher(undefined, { createdOnMs: NOW_MS - 200 * DAY_MS, expiresOnMs: NOW_MS - 100 * DAY_MS }),
  ),
  row(
    'signed by somebody else',
    'pki/untrusted',
    'The certificate of "vouchers" is not trusted: no path leads from it to an anchor that must be used',
    (nonce) => voucher(nonce, {}, stranger()),
  ),
  row(
    'signed by the owner itself',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    (nonce) => voucher(nonce, {}, bench.authorities.ownerSigner),
  ),
  row(
    'for a box of another manufacturer',
    'pki/mismatch',
    "The voucher for BBX-0001 is not for this box now ($.idevid-issuer is not the issuer of this box's IDevID)",
    (nonce) => voucher(nonce, { idevidIssuer: new Uint8Array(20).fill(1) }),
  ),
  row(
    'with one bit flipped in its signature',
    'pki/untrusted',
    'The signature of signed data is refused: it does not fit the content',
    (nonce) => {
      const { voucher: der } = voucher(nonce);
      return { voucher: flipBit(der, der.length - 3) };
    },
  ),
  row(
    'with one bit flipped in its serial',
    'pki/untrusted',
    "The signature of signed data is refused: Error during verification: Message digest doesn't match",
    (nonce) => {
      const { voucher: der } = voucher(nonce);
      return { voucher: flipBit(der, Buffer.from(der).indexOf(SERIAL) + SERIAL.length - 1) };
    },
  ),
  row(
    'whose content type is another (plain data)',
    'pki/mismatch',
    'Signed content has type 1.2.840.113549.1.7.1, wanted is 1.2.840.113549.1.9.16.1.40',
    () => ({
      voucher: signData({
        contentType: OID.data,
        content: Buffer.from('{}'),
        signer: bench.authorities.voucherSigner,
      }),
    }),
  ),
  row(
    'that is the onboarding information instead',
    'pki/mismatch',
    'Signed content has type 1.2.840.113549.1.9.16.1.43, wanted is 1.2.840.113549.1.9.16.1.40',
    () => ({ voucher: sign(onboarding(owner())) }),
  ),
  row('that is no CMS', 'pki/malformed', 'Bytes are not one CMS message', () => ({
    voucher: Buffer.from('voucher'),
  })),
  row('that is cut short', 'pki/malformed', 'Bytes are not one CMS message', (nonce) => ({
    voucher: voucher(nonce).voucher.subarray(0, 500),
  })),
]);

const gatewaySigned = () => issued(bench.authorities.domain, { kind: 'ldevid', gatewayId: 'branch2' });
const ended = () =>
  issued(
    bench.authorities.domain,
    { kind: 'owner', commonName: 'owner' },
    { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS },
  );
const signedBy = (by: Credential) => ({
  conveyed: sign(onboarding(owner()), by),
  ownerCertificate: ownerCertificate(by),
});

faultTable('onboarding information', [
  row(
    'that nobody signed',
    'pki/untrusted',
    'The server sent onboarding information that nobody signed',
    () => ({
      conveyed: wrapConveyed(onboarding(owner()), 'json'),
      voucher: undefined,
      ownerCertificate: undefined,
    }),
  ),
  row(
    'without its voucher',
    'pki/malformed',
    'The server sent signed data without its voucher or without its owner certificate',
    () => ({ voucher: undefined }),
  ),
  row(
    'without its owner certificate',
    'pki/malformed',
    'The server sent signed data without its voucher or without its owner certificate',
    () => ({ ownerCertificate: undefined }),
  ),
  row(
    'of an owner certificate that is not under the pinned one',
    'pki/untrusted',
    'The certificate of "owner" is not trusted: no path leads from it to an anchor that must be used',
    () => signedBy(issued(bench.authorities.stranger, { kind: 'owner', commonName: 'owner' })),
  ),
  row(
    'signed by another than the owner certificate beside it',
    'pki/mismatch',
    'Conveyed information is signed by "another", which is not in the owner certificate',
    () => ({
      conveyed: sign(
        onboarding(owner()),
        issued(bench.authorities.domain, { kind: 'owner', commonName: 'another' }),
      ),
    }),
  ),
  row(
    'signed by a certificate that has ended',
    'pki/expired',
    'The chain of "owner" is not valid at that time: "owner" ended 2026-05-31T12:00:00.000Z',
    () => signedBy(ended()),
  ),
  row(
    'signed by a gateway of the same owner',
    'pki/untrusted',
    'The certificate of "branch2" is not trusted: it is issued for other usages only (extended key usage 1.3.6.1.5.5.7.3.2)',
    () => signedBy(gatewaySigned()),
  ),
  row(
    'with one bit flipped in its content',
    'pki/untrusted',
    "The signature of signed data is refused: Error during verification: Message digest doesn't match",
    (nonce) => {
      const { conveyed } = bench.good.artefacts(nonce);
      return { conveyed: flipBit(conveyed, Buffer.from(conveyed).indexOf('replace')) };
    },
  ),
  row(
    'that names another domain CA than the voucher pinned',
    'pki/mismatch',
    'The onboarding configuration names another domain CA than the voucher pinned',
    () => ({
      conveyed: sign(
        onboarding({ ...owner(), domainAnchorPem: authority('Another Domain').certificate.pem }),
      ),
    }),
  ),
  row(
    'that does not fit its schema',
    'model/invalid',
    'The onboarding configuration has 3 problems ($.gatewayId lower-case letters, digits and inner hyphens; $.mqtt.host a DNS name; $.mqtt.port Too small: expected number to be >=1)',
    () => ({
      conveyed: sign(onboarding({ ...owner(), gatewayId: 'Not A Name', mqtt: { host: '', port: 0 } })),
    }),
  ),
]);
