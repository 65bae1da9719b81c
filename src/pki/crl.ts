/**
 * Owns making a certificate revocation list (RFC 5280 5), complete and version 2.
 * Does not own which certificates are on it, nor its number and times: the signer's. Nor reading one (crlVerify.ts).
 */
import { sign } from 'node:crypto';
import {
  bitString,
  type Der,
  encode,
  enumerated,
  integer,
  oid,
  raw,
  sequence,
  tagged,
  taggedPrimitive,
  time,
} from './der.ts';
import { type Credential, extension, keyIdOf } from './issue.ts';
import { OID } from './oids.ts';
import { REVOCATION_LIST_LABEL, toPemBlock } from './pem.ts';

/** RFC 5280 5.3.1, those that a complete list may name; `unspecified` is said by naming none. */
const REASON_NUMBERS = {
  keyCompromise: 1,
  affiliationChanged: 3,
  superseded: 4,
  cessationOfOperation: 5,
  certificateHold: 6,
  privilegeWithdrawn: 9,
} as const;
export const REVOCATION_REASONS = [
  'keyCompromise',
  'affiliationChanged',
  'superseded',
  'cessationOfOperation',
  'certificateHold',
  'privilegeWithdrawn',
] as const satisfies readonly (keyof typeof REASON_NUMBERS)[];
export type RevocationReason = (typeof REVOCATION_REASONS)[number];

export interface RevokedCertificate {
  /** As Certificate.number. */
  readonly number: string;
  readonly revokedAtMs: number;
  readonly reason: RevocationReason;
}

export interface RevocationList {
  readonly der: Uint8Array;
  readonly pem: string;
  /** Grows with each list of an issuer (RFC 5280 5.2.3). */
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly RevokedCertificate[];
}

/** 10,000 entries of 60 bytes. */
export const MAX_REVOKED = 10_000;

/** Times are cut to whole seconds, as they are encoded. */
export function createRevocationList(options: {
  readonly issuer: Pick<Credential, 'key' | 'certificate'>;
  readonly number: number;
  readonly thisUpdateMs: number;
  readonly nextUpdateMs: number;
  readonly revoked: readonly RevokedCertificate[];
}): RevocationList {
  const { issuer, number, revoked } = options;
  const { certificate } = issuer;
  const thisUpdateMs = wholeSeconds(options.thisUpdateMs);
  const nextUpdateMs = wholeSeconds(options.nextUpdateMs);
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const authorityKeyId = certificate.subjectKeyId ?? keyIdOf(certificate.publicKey);
  const body = sequence(
    // Version 2 is 1 (RFC 5280 5.1.2.1).
    integer(1),
    algorithm,
    raw(certificate.subjectDer),
    time(thisUpdateMs),
    time(nextUpdateMs),
    // RFC 5280 5.1.2.6: absent where nothing is revoked.
    ...(revoked.length === 0 ? [] : [sequence(...revoked.map(entryOf))]),
    tagged(
      0,
      sequence(
        extension(OID.authorityKeyIdentifier, false, sequence(taggedPrimitive(0, authorityKeyId))),
        extension(OID.crlNumber, false, integer(number)),
      ),
    ),
  );
  const signature = sign('sha256', encode(body), issuer.key);
  const der = encode(sequence(body, algorithm, bitString(signature)));
  return { der, pem: toPemBlock(REVOCATION_LIST_LABEL, der), number, thisUpdateMs, nextUpdateMs, revoked };
}

function entryOf({ number, revokedAtMs, reason }: RevokedCertificate): Der {
  return sequence(
    integer(Buffer.from(number, 'hex')),
    time(revokedAtMs),
    sequence(extension(OID.reasonCode, false, enumerated(REASON_NUMBERS[reason]))),
  );
}

const wholeSeconds = (atMs: number): number => atMs - (atMs % 1000);
