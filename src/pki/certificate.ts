/**
 * Owns what a certificate is to the rest of Branchbox, and reading one from DER or PEM.
 * Does not own issuing (issue.ts) nor trust: a parsed certificate is believed only after chain.ts.
 */
import { createHash, type KeyObject } from 'node:crypto';
import { asBranchboxError, type BranchboxError } from '../model/errors.ts';
import { decode, type DerNode, malformed } from './der.ts';
import {
  certificateNumberOf,
  childrenOf,
  contextTag,
  expectTag,
  readBitString,
  readBoolean,
  readNamedBits,
  readOctets,
  readOid,
  readSmallInteger,
  readTime,
  TAG,
} from './derRead.ts';
import { decodeKnown, readAuthorityKeyId, readExtensions } from './extensionRead.ts';
import { importPublicKey } from './keys.ts';
import {
  type AlternativeNames,
  type CertificateName,
  readAlternativeNames,
  readHardwareSerial,
  readName,
} from './name.ts';
import { OID } from './oids.ts';
import { fromPem, toPemBlock } from './pem.ts';
import { readSignatureAlgorithm, type SignatureAlgorithm } from './signatureAlgorithm.ts';

export type { CertificateName } from './name.ts';

/** In the order of the bits of RFC 5280 4.2.1.3. */
export const KEY_USAGES = [
  'digitalSignature',
  'nonRepudiation',
  'keyEncipherment',
  'dataEncipherment',
  'keyAgreement',
  'keyCertSign',
  'cRLSign',
  'encipherOnly',
  'decipherOnly',
] as const;
export type KeyUsage = (typeof KEY_USAGES)[number];

export interface Certificate {
  readonly der: Uint8Array;
  readonly pem: string;
  readonly subject: CertificateName;
  readonly issuer: CertificateName;
  /** Names as encoded, for comparing. */
  readonly subjectDer: Uint8Array;
  readonly issuerDer: Uint8Array;
  /** The certificate's number as hexadecimal, lower case, as issued. */
  readonly number: string;
  readonly publicKey: KeyObject;
  readonly spki: Uint8Array;
  /** SHA-256 as lower-case hexadecimal. */
  readonly spkiSha256: string;
  readonly fingerprintSha256: string;
  /** A string says why its signature does not count; an anchor's signature is never looked at. */
  readonly signatureAlgorithm: SignatureAlgorithm | string;
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
  readonly isCa: boolean;
  /** How many CAs may stand below this one; undefined: any number. */
  readonly pathLength: number | undefined;
  /** undefined where the certificate has no such extension. */
  readonly keyUsage: readonly KeyUsage[] | undefined;
  readonly extendedKeyUsage: readonly string[] | undefined;
  readonly dnsNames: readonly string[];
  readonly ipAddresses: readonly string[];
  /** All alternative names, as encoded; undefined where there is no such extension. */
  readonly alternativeNamesDer: Uint8Array | undefined;
  /** hwSerialNum of a HardwareModuleName (RFC 4108 5) among them. */
  readonly hardwareSerial: Uint8Array | undefined;
  readonly subjectKeyId: Uint8Array | undefined;
  readonly authorityKeyId: Uint8Array | undefined;
  /** Object identifiers of the extensions that must be understood. */
  readonly criticalExtensions: readonly string[];
  /** DER of those that speak of certificate policies, by object identifier, for policies.ts. */
  readonly policyExtensions: ReadonlyMap<string, Uint8Array>;
  /** Which names it may give, as a CA; nameConstraints.ts reads it. */
  readonly nameConstraintsDer: Uint8Array | undefined;
}

/** One certificate from DER, or from PEM that holds exactly one. Throws pki/malformed. */
export function parseCertificate(input: Uint8Array | string): Certificate {
  if (typeof input !== 'string') return read(input);
  const [first, ...others] = parseCertificates(input);
  if (first === undefined) throw malformed('There is no certificate in the PEM text');
  if (others.length > 0) throw malformed('There is more than one certificate in the PEM text');
  return first;
}

/** All certificates of a PEM file, in its order. Throws pki/malformed; an empty file is an empty list. */
export function parseCertificates(pem: string): readonly Certificate[] {
  return fromPem(pem, 'CERTIFICATE').map(read);
}

/**
 * The certificates of a message or a handshake that can be used here. `problem`: why the first of the others cannot (another
 * version or kind of key), for whoever misses it. A chain may go on above the CA that is believed, to a root as old as it likes.
 */
export function readUsable(ders: readonly Uint8Array[]): {
  readonly usable: readonly Certificate[];
  readonly problem: BranchboxError | undefined;
} {
  const usable: Certificate[] = [];
  let problem: BranchboxError | undefined;
  for (const der of ders) {
    try {
      usable.push(read(der));
    } catch (thrown) {
      const why = asBranchboxError(thrown);
      if (why.code === 'internal') throw why;
      problem ??= why;
    }
  }
  return { usable, problem };
}

export function toPem(certificates: readonly Certificate[]): string {
  return certificates.map((certificate) => certificate.pem).join('');
}

export function sameCertificate(left: Certificate, right: Certificate): boolean {
  return Buffer.from(left.der).equals(right.der);
}

/** RFC 5280 3.2: by an entity for itself, under whichever of its keys. */
export function isSelfIssued({ subjectDer, issuerDer }: Certificate): boolean {
  return Buffer.from(subjectDer).equals(issuerDer);
}

function read(der: Uint8Array): Certificate {
  const [tbs, algorithm, signature] = childrenOf(decode(der), TAG.sequence, 'Certificate');
  readBitString(signature, 'Certificate signature');
  const fields = [...childrenOf(tbs, TAG.sequence, 'Certificate body')];
  // Version 3 alone: without extensions there is no telling a CA from a box.
  const [version] = childrenOf(fields.shift(), contextTag(0), 'Certificate version');
  if (readSmallInteger(version, 'Certificate version') !== 2)
    throw malformed('A certificate is not version 3');
  const [number, innerAlgorithm, issuer, validity, subject, spki, ...optional] = fields;
  if (!sameBytes(innerAlgorithm, algorithm)) {
    throw malformed('A certificate names two different signature algorithms (RFC 5280 4.1.1.2)');
  }
  const [notBefore, notAfter] = childrenOf(validity, TAG.sequence, 'Certificate validity');
  const spkiDer = expectTag(spki, TAG.sequence, 'Certificate public key').bytes;
  return {
    der,
    pem: toPemBlock('CERTIFICATE', der),
    subject: readName(subject, 'Subject'),
    issuer: readName(issuer, 'Issuer'),
    subjectDer: expectTag(subject, TAG.sequence, 'Subject').bytes,
    issuerDer: expectTag(issuer, TAG.sequence, 'Issuer').bytes,
    number: certificateNumberOf(number, 'Certificate number'),
    publicKey: importPublicKey(spkiDer),
    spki: spkiDer,
    spkiSha256: sha256Hex(spkiDer),
    fingerprintSha256: sha256Hex(der),
    signatureAlgorithm: readSignatureAlgorithm(algorithm),
    notBeforeMs: readTime(notBefore, 'notBefore'),
    notAfterMs: readTime(notAfter, 'notAfter'),
    ...fromExtensions(optional.find((node) => node.tag === contextTag(3))),
  };
}

type FromExtensions = Pick<
  Certificate,
  | 'isCa'
  | 'pathLength'
  | 'keyUsage'
  | 'extendedKeyUsage'
  | 'alternativeNamesDer'
  | 'hardwareSerial'
  | 'subjectKeyId'
  | 'authorityKeyId'
  | 'criticalExtensions'
  | 'policyExtensions'
  | 'nameConstraintsDer'
> &
  AlternativeNames;

function fromExtensions(node: DerNode | undefined): FromExtensions {
  const found = node === undefined ? [] : readExtensions(node.children[0], 'Extensions of a certificate');
  const values = decodeKnown(found, KNOWN);
  const get = <T>(id: string, readValue: (value: DerNode) => T): T | undefined => {
    const value = values.get(id);
    return value === undefined ? undefined : readValue(value);
  };
  const constraints = get(OID.basicConstraints, readBasicConstraints);
  const names = get(OID.subjectAltName, readAlternativeNames);
  return {
    isCa: constraints?.isCa ?? false,
    pathLength: constraints?.pathLength,
    keyUsage: get(OID.keyUsage, readKeyUsage),
    extendedKeyUsage: get(OID.extendedKeyUsage, (value) =>
      childrenOf(value, TAG.sequence, 'Extended key usage').map((usage) =>
        readOid(usage, 'Extended key usage'),
      ),
    ),
    dnsNames: names?.dnsNames ?? [],
    ipAddresses: names?.ipAddresses ?? [],
    alternativeNamesDer: get(OID.subjectAltName, ({ bytes }) => bytes),
    hardwareSerial: get(OID.subjectAltName, readHardwareSerial),
    subjectKeyId: get(OID.subjectKeyIdentifier, (value) => readOctets(value, 'Subject key identifier')),
    authorityKeyId: get(OID.authorityKeyIdentifier, readAuthorityKeyId),
    criticalExtensions: found.filter(({ isCritical }) => isCritical).map(({ id }) => id),
    nameConstraintsDer: found.find(({ id }) => id === OID.nameConstraints)?.value,
    policyExtensions: new Map(found.filter(({ id }) => POLICIES.has(id)).map(({ id, value }) => [id, value])),
  };
}

const POLICIES: ReadonlySet<string> = new Set([
  OID.certificatePolicies,
  OID.policyMappings,
  OID.policyConstraints,
  OID.inhibitAnyPolicy,
]);

const KNOWN: ReadonlySet<string> = new Set([
  OID.basicConstraints,
  OID.subjectAltName,
  OID.keyUsage,
  OID.extendedKeyUsage,
  OID.subjectKeyIdentifier,
  OID.authorityKeyIdentifier,
]);

function readBasicConstraints(value: DerNode): { isCa: boolean; pathLength: number | undefined } {
  const parts = [...childrenOf(value, TAG.sequence, 'Basic constraints')];
  const isCa = parts[0]?.tag === TAG.boolean ? readBoolean(parts.shift(), 'Basic constraints') : false;
  const pathLength = parts[0] === undefined ? undefined : readSmallInteger(parts[0], 'Path length');
  return { isCa, pathLength };
}

function readKeyUsage(value: DerNode): readonly KeyUsage[] {
  const bits = readNamedBits(value, 'Key usage');
  return KEY_USAGES.filter((_, bit) => bits.includes(bit));
}

function sameBytes(left: DerNode | undefined, right: DerNode | undefined): boolean {
  return left !== undefined && right !== undefined && Buffer.from(left.bytes).equals(right.bytes);
}

export function sha256Hex(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}
