/**
 * Owns PKCS#10 certificate requests (RFC 2986): making one, and reading one with its self-signature verified.
 * Does not own what becomes of the names asked for: the CA assigns names and takes none from a request.
 */
import { type KeyObject, sign } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import type { Certificate } from './certificate.ts';
import {
  bitString,
  type Der,
  type DerNode,
  decode,
  encode,
  integer,
  malformed,
  octets,
  oid,
  printable,
  raw,
  sequence,
  setOf,
  taggedSetOf,
} from './der.ts';
import {
  childrenOf,
  contextTag,
  expectTag,
  readBitString,
  readOctets,
  readOid,
  readSmallInteger,
  readText,
  TAG,
} from './derRead.ts';
import { exportPublicKey, importPublicKey, publicKeyOf, type Signer } from './keys.ts';
import {
  type AlternativeNames,
  type CertificateName,
  encodeAlternativeNames,
  encodeName,
  readAlternativeNames,
  readName,
} from './name.ts';
import { OID } from './oids.ts';
import { fromPem } from './pem.ts';
import { readSignatureAlgorithm, verifySignature } from './signatureAlgorithm.ts';

export interface CertificateRequest extends AlternativeNames {
  readonly subject: CertificateName;
  readonly publicKey: KeyObject;
  readonly spki: Uint8Array;
  readonly challengePassword: string | undefined;
}

/** A request of ours has 300 bytes; RSA 8192 with many names stays below this. */
const MAX_REQUEST_BYTES = 16 * 1024;

export interface RequestNames extends RequestDemands {
  readonly commonName?: string;
  readonly serialNumber?: string;
  readonly dnsNames?: readonly string[];
  readonly ipAddresses?: readonly string[];
}

/** An Extension (RFC 5280 4.1) that somebody else wrote. */
export interface RequestedExtension {
  readonly id: string;
  readonly der: Uint8Array;
}

/** What a server wants in a request beside its names. */
export interface RequestDemands {
  /** RFC 2985 5.4.1; in EST (RFC 7030 3.5) base64 of the connection's channel binding. */
  readonly challengePassword?: string | undefined;
  readonly extensions?: readonly RequestedExtension[];
}

/** DER. */
export function createRequest({ key, ...names }: RequestNames & { readonly key: KeyObject }): Uint8Array {
  const info = requestInfo(publicKeyOf(key), names);
  return signedRequest(info, sign('sha256', encode(info), key));
}

/** DER, by a key that may be held elsewhere. */
export const createRequestBy = (signer: Signer, names: RequestNames): Promise<Uint8Array> =>
  signedBy(signer, requestInfo(signer.publicKey, names));

/** The same, for the names of a certificate, to the byte, and for no others: what RFC 7030 4.2.2 holds a renewal to. */
export const createRenewalRequestBy = (
  signer: Signer,
  { subjectDer, alternativeNamesDer }: Certificate,
  { challengePassword, extensions = [] }: RequestDemands = {},
) =>
  signedBy(
    signer,
    requestBody(
      signer.publicKey,
      raw(subjectDer),
      alternativeNamesDer === undefined ? undefined : raw(alternativeNamesDer),
      { challengePassword, extensions: extensions.filter(({ id }) => id !== OID.subjectAltName) },
    ),
  );

async function signedBy(signer: Signer, info: Der): Promise<Uint8Array> {
  return signedRequest(info, await signer.sign(encode(info)));
}

function requestInfo(publicKey: KeyObject, options: RequestNames): Der {
  const { dnsNames = [], ipAddresses = [] } = options;
  return requestBody(
    publicKey,
    encodeName({ commonName: options.commonName, serialNumber: options.serialNumber }),
    dnsNames.length + ipAddresses.length === 0
      ? undefined
      : encodeAlternativeNames({ dnsNames, ipAddresses }),
    options,
  );
}

function requestBody(
  publicKey: KeyObject,
  subject: Der,
  alternativeNames: Der | undefined,
  { challengePassword, extensions = [] }: RequestDemands,
): Der {
  const asked = [
    ...(alternativeNames === undefined
      ? []
      : [sequence(oid(OID.subjectAltName), octets(encode(alternativeNames)))]),
    // Two of one kind are no extensions (RFC 5280 4.2).
    ...extensions
      .filter(({ id }) => alternativeNames === undefined || id !== OID.subjectAltName)
      .map(({ der }) => raw(der)),
  ];
  const attributes = [
    ...(challengePassword === undefined
      ? []
      : [sequence(oid(OID.challengePassword), setOf(printable(challengePassword)))]),
    ...(asked.length === 0 ? [] : [sequence(oid(OID.extensionRequest), setOf(sequence(...asked)))]),
  ];
  return sequence(integer(0), subject, raw(exportPublicKey(publicKey)), taggedSetOf(0, ...attributes));
}

const signedRequest = (info: Der, signature: Uint8Array): Uint8Array =>
  encode(sequence(info, sequence(oid(OID.ecdsaWithSha256)), bitString(signature)));

/** DER, or PEM. Throws pki/malformed; pki/untrusted where the signature does not fit the key in it. */
export function parseRequest(input: Uint8Array | string): CertificateRequest {
  const der = typeof input === 'string' ? requestOfPem(input) : input;
  const [info, algorithm, signature] = childrenOf(decode(der, MAX_REQUEST_BYTES), TAG.sequence, 'Request');
  const [version, subject, spki, attributes] = childrenOf(info, TAG.sequence, 'Request body');
  if (readSmallInteger(version, 'Request version') !== 0) throw malformed('A request is not version 1');
  const spkiDer = expectTag(spki, TAG.sequence, 'Request public key').bytes;
  const publicKey = importPublicKey(spkiDer);
  const how = readSignatureAlgorithm(algorithm);
  if (typeof how === 'string') throw malformed(`A request ${how}`);
  const signed = expectTag(info, TAG.sequence, 'Request body').bytes;
  if (!verifySignature(how, signed, publicKey, readBitString(signature, 'Request signature'))) {
    throw new BranchboxError('pki/untrusted', {
      message: 'A certificate request is not signed by the key it asks a certificate for',
    });
  }
  const given = attributes === undefined ? [] : childrenOf(attributes, contextTag(0), 'Request attributes');
  return { subject: readName(subject, 'Subject'), publicKey, spki: spkiDer, ...readAttributes(given) };
}

/** DER of the first one. Throws pki/malformed. */
export function requestOfPem(pem: string): Uint8Array {
  // Some clients still write the older label.
  const [first] = [...fromPem(pem, 'CERTIFICATE REQUEST'), ...fromPem(pem, 'NEW CERTIFICATE REQUEST')];
  if (first === undefined) throw malformed('There is no certificate request in the PEM text');
  return first;
}

function readAttributes(
  attributes: readonly DerNode[],
): AlternativeNames & { challengePassword: string | undefined } {
  let names: AlternativeNames = { dnsNames: [], ipAddresses: [] };
  let challengePassword: string | undefined;
  for (const attribute of attributes) {
    const [type, values] = childrenOf(attribute, TAG.sequence, 'Request attribute');
    const id = readOid(type, 'Request attribute');
    const [value] = childrenOf(values, TAG.set, 'Request attribute');
    if (id === OID.challengePassword) challengePassword = readText(value, 'Challenge password');
    if (id === OID.extensionRequest) {
      for (const extension of childrenOf(value, TAG.sequence, 'Requested extensions')) {
        const parts = childrenOf(extension, TAG.sequence, 'Requested extension');
        if (readOid(parts[0], 'Requested extension') !== OID.subjectAltName) continue;
        names = readAlternativeNames(decode(readOctets(parts.at(-1), 'Requested names'), MAX_REQUEST_BYTES));
      }
    }
  }
  return { ...names, challengePassword };
}
