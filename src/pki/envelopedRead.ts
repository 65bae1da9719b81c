/**
 * Owns taking encrypted CMS apart: EnvelopedData (RFC 5652 6) and AuthEnvelopedData (RFC 5083), DER or BER as others write it.
 * Does not own opening it (enveloped.ts): nothing read here is trusted.
 */
import * as asn1js from 'asn1js';
import {
  berOf,
  encodedOf,
  headerAt,
  implicitOctetsOf,
  isContext,
  octetsOf,
  oidOf,
  partsOf,
} from './berRead.ts';
import { decode, malformed } from './der.ts';
import { readBitString } from './derRead.ts';
import { OID } from './oids.ts';

export interface Enveloped {
  readonly contentType: string;
  /** AlgorithmIdentifier, as it was encoded. */
  readonly algorithmDer: Uint8Array;
  readonly encrypted: Uint8Array;
  /** Of AuthEnvelopedData alone. */
  readonly authenticated: Authenticated | undefined;
  /** Of the kinds that name a certificate's key; passwords and the like are passed over. */
  readonly recipients: readonly RecipientInfo[];
}

export interface Authenticated {
  readonly mac: Uint8Array;
  /** Additional authenticated data: the attributes (RFC 5083 2.2). */
  readonly beside: Uint8Array;
}

export interface RecipientInfo {
  readonly name: RecipientName;
  /** AlgorithmIdentifier of the key's encryption, as it was encoded. */
  readonly algorithmDer: Uint8Array;
  readonly encryptedKey: Uint8Array;
  /** Of key agreement (RFC 5753 3.1.1); undefined: key transport. */
  readonly agreement: Agreement | undefined;
}

export interface Agreement {
  /** The ephemeral public key's point; undefined where the sender names a lasting key of its own. */
  readonly point: Uint8Array | undefined;
  readonly userKeyingMaterial: Uint8Array | undefined;
}

export type RecipientName =
  | { readonly issuerDer: Uint8Array; readonly number: string }
  | { readonly keyId: Uint8Array };

/** An artefact is for one box. Each recipient beside it costs a little. */
const MAX_RECIPIENTS = 64;
/** RSAES-OAEP says most, with a label a hundred octets. */
const MAX_ALGORITHM_OCTETS = 1024;
const OBJECT_IDENTIFIER = 0x06;
const SEQUENCE = 0x30;
const SET = 0x31;

/** Content type of what may be CMS, by its first octets alone; hexadecimal, as encoded. */
export function outerType(bytes: Uint8Array): string | undefined {
  const outer = headerAt(bytes, 0);
  if (outer.tag !== SEQUENCE) return undefined;
  const type = headerAt(bytes, outer.contentAt);
  if (type.tag !== OBJECT_IDENTIFIER) return undefined;
  return Buffer.from(bytes.subarray(type.contentAt, type.endAt)).toString('hex');
}

export function readEnveloped(bytes: Uint8Array, maxBytes: number): Enveloped {
  const [type, wrapped] = partsOf(berOf(bytes, maxBytes), 'CMS message');
  const kind = oidOf(type);
  if (kind !== OID.envelopedData && kind !== OID.authEnvelopedData) {
    throw malformed(`CMS content ${kind} is not encrypted`);
  }
  const [body] = partsOf(wrapped, 'CMS content');
  const [, ...fields] = partsOf(body, 'Encrypted data');
  // [0] is what the sender tells of itself, certificates, which nothing here needs.
  const [recipients, info, ...rest] = isContext(fields[0], 0) ? fields.slice(1) : fields;
  if (!(recipients instanceof asn1js.Set)) throw malformed('Encrypted data has no set of recipients');
  const [contentType, algorithm, encrypted] = partsOf(info, 'Encrypted content');
  if (!isContext(encrypted, 0)) throw malformed('Encrypted data has no content inside');
  return {
    contentType: oidOf(contentType),
    algorithmDer: algorithmOf(algorithm),
    encrypted: implicitOctetsOf(encrypted),
    authenticated: kind === OID.authEnvelopedData ? readAuthenticated(rest) : undefined,
    recipients: readRecipients(recipients),
  };
}

function readAuthenticated(rest: readonly unknown[]): Authenticated {
  const [first] = rest;
  const hasAttributes = isContext(first, 1);
  return {
    mac: octetsOf(hasAttributes ? rest[1] : first),
    // RFC 5083 2.2: as a SET OF, and not under the tag that it is sent with.
    beside: hasAttributes ? Buffer.concat([Buffer.of(SET), encodedOf(first).subarray(1)]) : new Uint8Array(),
  };
}

function readRecipients(set: asn1js.Set): readonly RecipientInfo[] {
  const found: RecipientInfo[] = [];
  for (const info of partsOf(set, 'Recipients')) {
    if (info instanceof asn1js.Sequence) found.push(readTransport(info));
    else if (isContext(info, 1)) found.push(...readAgreement(info));
    if (found.length > MAX_RECIPIENTS) {
      throw malformed(`Encrypted data has more than ${MAX_RECIPIENTS} recipients`);
    }
  }
  return found;
}

/** RFC 5652 6.2.1: version, who, algorithm, key. */
function readTransport(node: unknown): RecipientInfo {
  const [, name, algorithm, key] = partsOf(node, 'Recipient');
  return {
    name: isContext(name, 0) ? { keyId: implicitOctetsOf(name) } : issuerAndNumber(name),
    algorithmDer: algorithmOf(algorithm),
    encryptedKey: octetsOf(key),
    agreement: undefined,
  };
}

/** RFC 5652 6.2.2: version, [0] originator, [1] keying material, algorithm, keys; one for each recipient. */
function readAgreement(node: unknown): readonly RecipientInfo[] {
  const [, originator, ...more] = partsOf(node, 'Recipient');
  const material = isContext(more[0], 1) ? partsOf(more[0], 'Keying material')[0] : undefined;
  const [algorithm, keys] = material === undefined ? more : more.slice(1);
  const agreement = {
    point: pointOf(partsOf(originator, 'Originator')[0]),
    userKeyingMaterial: material === undefined ? undefined : octetsOf(material),
  };
  const algorithmDer = algorithmOf(algorithm);
  return partsOf(keys, 'Recipients of a key').map((one) => {
    const [name, key] = partsOf(one, 'Recipient of a key');
    return {
      name: isContext(name, 0)
        ? { keyId: octetsOf(partsOf(name, 'Key identifier')[0]) }
        : issuerAndNumber(name),
      algorithmDer,
      encryptedKey: octetsOf(key),
      agreement,
    };
  });
}

function pointOf(originator: unknown): Uint8Array | undefined {
  if (!isContext(originator, 1)) return undefined;
  // The algorithm beside it says no more than the recipient's own key does (RFC 5753 7.1.2).
  const [, point] = partsOf(originator, 'Ephemeral key');
  if (!(point instanceof asn1js.BitString)) throw malformed('An ephemeral key has no point');
  return readBitString(decode(encodedOf(point)), 'Ephemeral key');
}

function issuerAndNumber(node: unknown): RecipientName {
  const [issuer, number] = partsOf(node, 'Name of a recipient');
  if (!(issuer instanceof asn1js.Sequence) || !(number instanceof asn1js.Integer)) {
    throw malformed('A recipient is named neither by issuer and number nor by its key');
  }
  return {
    issuerDer: encodedOf(issuer),
    // As certificate.ts has it.
    number: Buffer.from(number.valueBlock.valueHexView)
      .toString('hex')
      .replace(/^(00)+(?=..)/, ''),
  };
}

function algorithmOf(node: unknown): Uint8Array {
  if (!(node instanceof asn1js.Sequence)) throw malformed('Encrypted data names no algorithm');
  const der = encodedOf(node);
  if (der.length > MAX_ALGORITHM_OCTETS) {
    throw malformed(`Encrypted data has an algorithm of more than ${MAX_ALGORITHM_OCTETS} bytes`);
  }
  return der;
}
