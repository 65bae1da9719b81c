/**
 * Owns opening what was encrypted to the key of a certificate: CMS EnvelopedData with AES-CBC (RFC 3565), AuthEnvelopedData
 * with AES-GCM (RFC 5083, 5084). What comes out is the CMS that would have come unencrypted.
 * Does not own judging that: whoever encrypted it is nobody, everybody has the certificate.
 *
 * Whatever goes wrong once a key was used is told in one sentence. A padding of RSA or of CBC that is told apart from
 * another failure tells a sender of many messages what is inside (RFC 3218, RFC 5652 14).
 */
import { createDecipheriv, randomBytes } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { headerAt } from './berRead.ts';
import type { Certificate } from './certificate.ts';
import { MAX_CMS_BYTES } from './cms.ts';
import { type DerNode, decode, encode, malformed, octets, oid, sequence, tagged } from './der.ts';
import { childrenOf, readOctets, readOid, readSmallInteger, TAG } from './derRead.ts';
import { type Enveloped, outerType, readEnveloped, type RecipientName } from './envelopedRead.ts';
import { contentKeyOf, type Recipient } from './keyEncryption.ts';
import { OID } from './oids.ts';

/** RFC 3565 4.1, RFC 5084 3.2. */
const CBC: ReadonlyMap<string, 'aes-128-cbc' | 'aes-192-cbc' | 'aes-256-cbc'> = new Map([
  ['2.16.840.1.101.3.4.1.2', 'aes-128-cbc'],
  ['2.16.840.1.101.3.4.1.22', 'aes-192-cbc'],
  ['2.16.840.1.101.3.4.1.42', 'aes-256-cbc'],
]);
const GCM: ReadonlyMap<string, 'aes-128-gcm' | 'aes-192-gcm' | 'aes-256-gcm'> = new Map([
  ['2.16.840.1.101.3.4.1.6', 'aes-128-gcm'],
  ['2.16.840.1.101.3.4.1.26', 'aes-192-gcm'],
  ['2.16.840.1.101.3.4.1.46', 'aes-256-gcm'],
]);
const keyBytesOf = (cipher: string): number => Number(cipher.slice(4, 7)) / 8;
/** RFC 5084 3.2. */
const TAG_BYTES = { least: 12, most: 16 };
const NONCE_BYTES = { least: 7, most: 16 };
const IV_BYTES = 16;

const idHex = (dotted: string): string => Buffer.from(encode(oid(dotted)).subarray(2)).toString('hex');
const ENCRYPTED: ReadonlySet<string> = new Set([idHex(OID.envelopedData), idHex(OID.authEnvelopedData)]);

const INTEGER = 0x02;
const SEQUENCE = 0x30;

export interface OpenOptions {
  readonly recipient: Recipient;
  /** Of the recipient's key: what others name it by. */
  readonly certificate: Pick<Certificate, 'issuerDer' | 'number' | 'subjectKeyId'>;
}

/** What is not encrypted comes back as it is. Throws pki/malformed or pki/mismatch. */
export async function openEnveloped(der: Uint8Array, options: OpenOptions): Promise<Uint8Array> {
  if (!ENCRYPTED.has(outerType(der) ?? '')) return der;
  const { recipient, certificate } = options;
  const enveloped = readEnveloped(der, MAX_CMS_BYTES);
  const info = enveloped.recipients.find(({ name }) => isNamed(name, certificate));
  if (info === undefined) {
    throw new BranchboxError('pki/mismatch', {
      message: `What came is encrypted to others: none of its recipients (${enveloped.recipients.length}) is this box's certificate`,
      mend: 'have it encrypted to the certificate that this box shows in TLS, or not at all: what is signed is believed without',
    });
  }
  const decipher = decipherOf(enveloped);
  let content: Uint8Array | undefined;
  try {
    const sent = await contentKeyOf(info, recipient);
    // RFC 3218 2.3.2: of another length it goes on with a key of nobody's.
    const key = sent.length === decipher.keyBytes ? sent : randomBytes(decipher.keyBytes);
    content = insideOf(enveloped.contentType, decipher.open(key));
  } catch (thrown) {
    if (thrown instanceof BranchboxError) throw thrown;
  }
  if (content === undefined) {
    throw malformed(
      'What came is encrypted to this box and does not open: it was altered, or what is inside is no artefact of RFC 8572',
    );
  }
  if (ENCRYPTED.has(outerType(content) ?? '')) throw malformed('What came is encrypted more than once');
  return content;
}

function isNamed(name: RecipientName, certificate: OpenOptions['certificate']): boolean {
  if ('keyId' in name)
    return certificate.subjectKeyId !== undefined && Buffer.from(name.keyId).equals(certificate.subjectKeyId);
  return name.number === certificate.number && Buffer.from(name.issuerDer).equals(certificate.issuerDer);
}

interface Opener {
  readonly keyBytes: number;
  /** Throws what OpenSSL throws. */
  open(key: Uint8Array): Uint8Array;
}

function decipherOf({ algorithmDer, authenticated, encrypted }: Enveloped): Opener {
  const [id, parameters] = childrenOf(decode(algorithmDer), TAG.sequence, 'Content encryption');
  const name = readOid(id, 'Content encryption');
  const gcm = authenticated === undefined ? undefined : GCM.get(name);
  if (gcm !== undefined && authenticated !== undefined) {
    const { nonce, tagBytes } = readGcm(parameters);
    if (authenticated.mac.length !== tagBytes) throw malformed('A tag of AES-GCM is not of its length');
    return {
      keyBytes: keyBytesOf(gcm),
      open: (key) => {
        const decipher = createDecipheriv(gcm, key, nonce, { authTagLength: tagBytes });
        decipher.setAAD(authenticated.beside).setAuthTag(authenticated.mac);
        return Buffer.concat([decipher.update(encrypted), decipher.final()]);
      },
    };
  }
  const cbc = authenticated === undefined ? CBC.get(name) : undefined;
  if (cbc === undefined) {
    throw new BranchboxError('pki/mismatch', {
      message: `What came is encrypted with ${name}, which is not known there`,
      mend: 'have it encrypted with AES-CBC or, as AuthEnvelopedData, AES-GCM',
    });
  }
  const iv = readOctets(parameters, 'Content encryption');
  if (iv.length !== IV_BYTES) throw malformed('An IV of AES-CBC is not of its length');
  return {
    keyBytes: keyBytesOf(cbc),
    open: (key) => {
      const decipher = createDecipheriv(cbc, key, iv);
      return Buffer.concat([decipher.update(encrypted), decipher.final()]);
    },
  };
}

function readGcm(node: DerNode | undefined): { readonly nonce: Uint8Array; readonly tagBytes: number } {
  const [first, length] = childrenOf(node, TAG.sequence, 'AES-GCM');
  const nonce = readOctets(first, 'AES-GCM nonce');
  const tagBytes = length === undefined ? TAG_BYTES.least : readSmallInteger(length, 'AES-GCM tag');
  if (tagBytes < TAG_BYTES.least || tagBytes > TAG_BYTES.most)
    throw malformed('AES-GCM has a tag out of range');
  if (nonce.length < NONCE_BYTES.least || nonce.length > NONCE_BYTES.most) {
    throw malformed('AES-GCM has a nonce out of range');
  }
  return { nonce, tagBytes };
}

/**
 * As it would have come unencrypted; undefined where it is none of an artefact's forms. Senders differ in what of signed data
 * they encrypt: all of it, under id-data or its own type; the content of that (RFC 5652 6.1); or no more than the octets in
 * it (RFC 2315 10.3).
 */
function insideOf(type: string, content: Uint8Array): Uint8Array | undefined {
  if (content[0] === SEQUENCE) {
    if (outerType(content) !== undefined) return content;
    const isContent = type === OID.signedData && content[headerAt(content, 0).contentAt] === INTEGER;
    return isContent ? contentInfo(type, content) : undefined;
  }
  if (type === OID.signedData) {
    return content[0] === INTEGER ? contentInfo(type, wrapped(SEQUENCE, content)) : undefined;
  }
  if (type !== OID.data && type !== OID.conveyedJson && type !== OID.conveyedXml) return undefined;
  // Nobody signed it: conveyed information as it is, which begins as either of its encodings does.
  return /^\s*[{<]/.test(Buffer.from(content.subarray(0, 64)).toString('latin1'))
    ? encode(sequence(oid(type), tagged(0, octets(content))))
    : undefined;
}

/** Of a content that may be BER, so not by the codec of DER. */
function contentInfo(type: string, content: Uint8Array): Uint8Array {
  return wrapped(SEQUENCE, Buffer.concat([encode(oid(type)), wrapped(0xa0, content)]));
}

function wrapped(tag: number, content: Uint8Array): Uint8Array {
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([Buffer.of(tag, 0x84), length, content]);
}
