/**
 * Owns the authorities that bootstrap's tests need: a manufacturer, an owner, and somebody who is neither.
 */
import type { Owner } from '../../../src/model/bootstrap.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import {
  type Credential,
  issueCertificate,
  NO_EXPIRY_MS,
  type Profile,
  selfSignedCa,
} from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { serverNamed } from '../pki/domain.ts';

export const HOUR_MS = 3_600_000;
export const DAY_MS = 24 * HOUR_MS;
/** What the tests call now; certificates are made around it. */
export const NOW_MS = Date.UTC(2026, 5, 1, 12);
export const SERIAL = 'BBX-0001';
export const GATEWAY = 'branch1';
export const HOST = 'controller.branchbox.example';

export function authority(commonName: string): Credential {
  const { privateKey } = generateKeyPair();
  const validity = { notBeforeMs: NOW_MS - 365 * DAY_MS, notAfterMs: NOW_MS + 3650 * DAY_MS };
  return { key: privateKey, certificate: selfSignedCa({ commonName, key: privateKey, validity }), chain: [] };
}

export function issued(
  issuer: Credential,
  profile: Profile,
  validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 90 * DAY_MS },
): Credential {
  const { privateKey, publicKey } = generateKeyPair();
  return {
    key: privateKey,
    certificate: issueCertificate({ profile, publicKey, issuer, validity }),
    chain: [],
  };
}

/** Ends after everything that a test looks at. */
export const LASTING = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 3000 * DAY_MS };

/** The key of one CA certified by another: NewWithOld of RFC 4210 4.4. */
export const certified = (
  of: Credential,
  by: Credential,
  validity = LASTING,
  more: { readonly pathLength?: number; readonly commonName?: string } = {},
): Certificate =>
  issueCertificate({
    profile: { kind: 'ca', commonName: of.certificate.subject.commonName ?? '', ...more },
    publicKey: of.certificate.publicKey,
    issuer: by,
    validity,
  });

/** The owner's server with a certificate that outlives the box's: renewed in time, as real ones are. */
export function withLastingServer(authorities: Authorities): Authorities {
  const profile = serverNamed(HOST);
  const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 400 * DAY_MS };
  return { ...authorities, server: issued(authorities.domain, profile, validity) };
}

export interface Authorities {
  readonly manufacturer: Credential;
  readonly voucherSigner: Credential;
  readonly idevid: Credential;
  readonly domain: Credential;
  readonly ownerSigner: Credential;
  readonly server: Credential;
  readonly stranger: Credential;
}

export function createAuthorities(): Authorities {
  const manufacturer = authority('Test Manufacturer CA');
  const domain = authority('Test Domain CA');
  const forever = { notBeforeMs: NOW_MS - 300 * DAY_MS, notAfterMs: NO_EXPIRY_MS };
  return {
    manufacturer,
    domain,
    stranger: authority('Somebody Else'),
    voucherSigner: issued(manufacturer, { kind: 'voucher-signing', commonName: 'vouchers' }, forever),
    idevid: issued(manufacturer, { kind: 'idevid', serialNumber: SERIAL, commonName: 'lab box' }, forever),
    ownerSigner: issued(domain, { kind: 'owner', commonName: 'owner' }),
    server: issued(domain, serverNamed(HOST)),
  };
}

export function ownerRecord(authorities: Authorities, port: number): Owner {
  const here = { host: HOST, port };
  return {
    schema: 1,
    gatewayId: GATEWAY,
    est: { ...here, label: 'lab' },
    mqtt: here,
    device: here,
    domainAnchorPem: authorities.domain.certificate.pem,
  };
}
