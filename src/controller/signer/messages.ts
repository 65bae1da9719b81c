/**
 * Owns the messages between the controller and its signer. Does not own the socket they pass through.
 * Certificates travel as PEM, everything else that is bytes as base64.
 */
import { z } from 'zod';
import { DnsName, IpAddress } from '../../model/addresses.ts';
import { GatewayId } from '../../model/ids.ts';
import { MAX_REVOKED, REVOCATION_REASONS, type RevocationReason } from '../../pki/crl.ts';

const RequestBase64 = z
  .base64()
  .min(4)
  .max(24 * 1024);
const Pem = z.string().max(64 * 1024);

/** IEEE 802.1AR leaves it open; 90 days is the design's, and CA/Browser Forum's 398 a bound nobody needs above. */
export const LDEVID_DAYS = { usual: 90, max: 398 };

export const LdevidRequest = z.strictObject({
  csr: RequestBase64,
  /** Becomes the subject; the request's own names are not looked at. */
  gatewayId: GatewayId,
  /** Days, or a fraction of one, so that renewal can be tried. */
  validityDays: z
    .number()
    .min(1 / 1440)
    .max(LDEVID_DAYS.max)
    .default(LDEVID_DAYS.usual),
});

export const ServerCertificateRequest = z.strictObject({
  csr: RequestBase64,
  dnsNames: z.array(DnsName).min(1).max(32),
  ipAddresses: z.array(IpAddress).max(32).default([]),
});

/** A service of the controller itself: MQTT client, API. */
export const ClientCertificateRequest = z.strictObject({
  csr: RequestBase64,
  service: z.string().regex(/^[a-z0-9]([a-z0-9-]{0,30}[a-z0-9])?$/, 'a service name such as controller'),
});

/** A dot, which no gatewayId has: no service can be taken for a box, nor a box for a service. */
export const serviceCommonName = (service: string): string => `${service}.service`;

export const CertificateAnswer = z.object({ certificate: Pem, chain: z.array(Pem).max(6) });

export const DesiredRequest = z.strictObject({ payload: z.base64() });
export const DesiredAnswer = z.object({ jws: z.string() });

/** JSON of an Order (model/mqtt), exactly the bytes to be signed. */
export const OrderRequest = z.strictObject({ payload: z.base64().max(32 * 1024) });
export const OrderAnswer = z.object({ jws: z.string() });

/** JSON of RFC 8572's redirect or onboarding information, exactly the bytes to be signed. */
export const ConveyedRequest = z.strictObject({ content: z.base64().max(512 * 1024) });
export const ConveyedAnswer = z.object({ conveyed: z.base64(), ownerCertificate: z.base64() });

/** RFC 5280 4.1.2.2: at most 20 octets. */
export const CertificateNumber = z
  .string()
  .regex(/^(?:[0-9a-f]{2}){1,20}$/, 'a certificate number in hexadecimal');

/** Every box that is revoked: a list is always whole. What is revoked for good the signer adds by itself. */
export const RevocationListRequest = z.strictObject({
  revoked: z
    .array(
      z.strictObject({
        number: CertificateNumber,
        revokedAtMs: z.int().min(0),
        reason: z.enum(REVOCATION_REASONS),
      }),
    )
    .max(MAX_REVOKED),
});
export const RevocationListAnswer = z.object({
  der: z.base64(),
  nextUpdateMs: z.number(),
  /** Of the CA before, after a rollover: what it signed may be revoked too. */
  others: z.array(z.base64()).max(4).default([]),
});

export const AnchorsAnswer = z.object({
  /** What vouchers pin and boxes hold as their anchor. */
  domain: Pem,
  configurationSigning: Pem,
  owner: Pem,
  /** Of a rollover that was begun: the next domain CA, its key certified by the present one, and the other way round. */
  offered: z.array(Pem).max(6).default([]),
  /** The domain CA before, once the next one signs: what it signed counts still. */
  previous: Pem.optional(),
  /** The one that was dropped last: nothing of it counts. */
  dropped: Pem.optional(),
});

/** The domain CA before, named so that no other is dropped by it. */
export const DropRequest = z.strictObject({ fingerprintSha256: z.string().regex(/^[0-9a-f]{64}$/) });
export const DropAnswer = z.object({ dropped: z.string() });

/** Why a certificate of a server or service is revoked: none of these may leave a list again (RFC 5280 5.3.1). */
export const FOR_GOOD_REASONS = [
  'keyCompromise',
  'superseded',
] as const satisfies readonly RevocationReason[];
export type ForGoodReason = (typeof FOR_GOOD_REASONS)[number];
export const RevokedForGoodEntry = z.strictObject({
  number: CertificateNumber,
  revokedAtMs: z.int().min(0),
  reason: z.enum(FOR_GOOD_REASONS),
});
export type RevokedForGoodEntry = z.output<typeof RevokedForGoodEntry>;
/** Of a server or service. There is no request to take it back. */
export const RevokeRequest = z.strictObject({
  number: CertificateNumber,
  reason: z.enum(FOR_GOOD_REASONS),
});
export const RevokeAnswer = z.object({ revoked: RevokedForGoodEntry });
export const RevokedForGoodAnswer = z.object({ revoked: z.array(RevokedForGoodEntry) });
