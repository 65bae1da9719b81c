/**
 * Owns how a content's key comes to its recipient: RSA key transport (RFC 3370 4.2.1, RFC 3560) and ephemeral-static ECDH
 * (RFC 5753) with AES key wrap; and the interface to a key that opens such, wherever it is held.
 * Does not own what is opened with it (enveloped.ts).
 */
import {
  constants,
  createDecipheriv,
  createHash,
  createPublicKey,
  diffieHellman,
  type KeyObject,
  privateDecrypt,
} from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { bitString, decode, encode, malformed, octets, raw, sequence, tagged, type DerNode } from './der.ts';
import { childrenOf, contextTag, readOctets, readOid, TAG } from './derRead.ts';
import type { RecipientInfo } from './envelopedRead.ts';
import { exportPublicKey, publicKeyOf } from './keys.ts';
import { OID } from './oids.ts';

export type RsaPadding =
  | { readonly kind: 'pkcs1' }
  | { readonly kind: 'oaep'; readonly hash: string; readonly label: Uint8Array };

/** Opens what was encrypted to a key, wherever that is held. Throws a BranchboxError where the key may do no such thing. */
export interface Recipient {
  readonly publicKey: KeyObject;
  /** ECDH: the x coordinate of the shared point. */
  agree(other: KeyObject): Promise<Uint8Array>;
  /** Of PKCS #1 v1.5 it never fails for the padding: what comes out then is random (RFC 3218). */
  decrypt(encrypted: Uint8Array, padding: RsaPadding): Promise<Uint8Array>;
}

/** By a key that this process has. */
export function recipientOf(privateKey: KeyObject): Recipient {
  return {
    publicKey: publicKeyOf(privateKey),
    agree: async (publicKey) => Uint8Array.from(diffieHellman({ privateKey, publicKey })),
    async decrypt(encrypted, padding) {
      const how =
        padding.kind === 'pkcs1'
          ? { padding: constants.RSA_PKCS1_PADDING }
          : {
              padding: constants.RSA_PKCS1_OAEP_PADDING,
              oaepHash: padding.hash,
              oaepLabel: Buffer.from(padding.label),
            };
      return Uint8Array.from(privateDecrypt({ key: privateKey, ...how }, encrypted));
    },
  };
}

/** SHA-1 is as good as another hash here: neither OAEP nor the KDF depends on collisions, and SHA-1 is OpenSSL's default. */
const HASHES: ReadonlyMap<string, string> = new Map([
  [OID.sha1, 'sha1'],
  [OID.sha256, 'sha256'],
  [OID.sha384, 'sha384'],
  [OID.sha512, 'sha512'],
]);
/** RFC 5753 7.1.4. The cofactor of these curves is 1, so both kinds of Diffie-Hellman are one. */
const DERIVATIONS: ReadonlyMap<string, string> = new Map([
  ['1.3.133.16.840.63.0.2', 'sha1'],
  ['1.3.132.1.11.1', 'sha256'],
  ['1.3.132.1.11.2', 'sha384'],
  ['1.3.132.1.11.3', 'sha512'],
  ['1.3.133.16.840.63.0.3', 'sha1'],
  ['1.3.132.1.14.1', 'sha256'],
  ['1.3.132.1.14.2', 'sha384'],
  ['1.3.132.1.14.3', 'sha512'],
]);
/** RFC 3565 2.3.2. */
const WRAPS: ReadonlyMap<string, { readonly cipher: string; readonly bytes: number }> = new Map([
  ['2.16.840.1.101.3.4.1.5', { cipher: 'id-aes128-wrap', bytes: 16 }],
  ['2.16.840.1.101.3.4.1.25', { cipher: 'id-aes192-wrap', bytes: 24 }],
  ['2.16.840.1.101.3.4.1.45', { cipher: 'id-aes256-wrap', bytes: 32 }],
]);
/** RFC 3394 2.2.3.1. */
const WRAP_IV = Buffer.alloc(8, 0xa6);

/**
 * Throws a BranchboxError where this is done in a way that is not known, or the recipient may not; another error where what
 * came does not open.
 */
export async function contentKeyOf(info: RecipientInfo, recipient: Recipient): Promise<Uint8Array> {
  const type = recipient.publicKey.asymmetricKeyType ?? 'unknown';
  const isAgreement = info.agreement !== undefined;
  if (type !== (isAgreement ? 'ec' : 'rsa')) {
    throw notSo(`by ${isAgreement ? 'ECDH' : 'RSA'}, and the key of this box is of type ${type}`);
  }
  const algorithm = decode(info.algorithmDer);
  return isAgreement ? agreed(info, algorithm, recipient) : transported(info, algorithm, recipient);
}

async function transported(
  { encryptedKey }: RecipientInfo,
  algorithm: DerNode,
  recipient: Recipient,
): Promise<Uint8Array> {
  const [id, parameters] = childrenOf(algorithm, TAG.sequence, 'Key encryption');
  const name = readOid(id, 'Key encryption');
  if (name === OID.rsaEncryption) return recipient.decrypt(encryptedKey, { kind: 'pkcs1' });
  if (name !== OID.rsaesOaep) throw notSo(`by ${name}, which is not known`);
  return recipient.decrypt(encryptedKey, readOaep(parameters));
}

/** RSAES-OAEP-params (RFC 4055 4.1). What is left out is SHA-1, and no label. */
function readOaep(node: DerNode | undefined): RsaPadding {
  const fields = node === undefined ? [] : childrenOf(node, TAG.sequence, 'RSAES-OAEP');
  const field = (tag: number): DerNode | undefined =>
    fields.find((one) => one.tag === contextTag(tag))?.children[0];
  const hash = hashIn(field(0), 'RSAES-OAEP hash');
  const mask = field(1);
  const [maskId, maskHash] = mask === undefined ? [] : childrenOf(mask, TAG.sequence, 'RSAES-OAEP mask');
  if (mask !== undefined && readOid(maskId, 'RSAES-OAEP mask') !== OID.mgf1) {
    throw notSo('by RSAES-OAEP with a mask that is not known');
  }
  if (hashIn(maskHash, 'RSAES-OAEP mask') !== hash) throw notSo('by RSAES-OAEP with two hashes');
  const source = field(2);
  const label = source === undefined ? undefined : childrenOf(source, TAG.sequence, 'RSAES-OAEP label')[1];
  return { kind: 'oaep', hash, label: label === undefined ? new Uint8Array() : readOctets(label, 'Label') };
}

function hashIn(node: DerNode | undefined, what: string): string {
  if (node === undefined) return 'sha1';
  const id = readOid(childrenOf(node, TAG.sequence, what)[0], what);
  const hash = HASHES.get(id);
  if (hash === undefined) throw notSo(`by RSAES-OAEP with hash ${id}, which is not known`);
  return hash;
}

async function agreed(
  { agreement, encryptedKey }: RecipientInfo,
  algorithm: DerNode,
  recipient: Recipient,
): Promise<Uint8Array> {
  const [id, wrapping] = childrenOf(algorithm, TAG.sequence, 'Key agreement');
  const name = readOid(id, 'Key agreement');
  const hash = DERIVATIONS.get(name);
  if (hash === undefined || wrapping === undefined)
    throw notSo(`by key agreement ${name}, which is not known`);
  const wrapId = readOid(childrenOf(wrapping, TAG.sequence, 'Key wrap')[0], 'Key wrap');
  const wrap = WRAPS.get(wrapId);
  if (wrap === undefined) throw notSo(`by key wrap ${wrapId}, which is not known`);
  if (agreement?.point === undefined) throw notSo('by ECDH with a lasting key of its sender');
  const secret = await recipient.agree(onCurveOf(recipient.publicKey, agreement.point));
  const length = Buffer.alloc(4);
  length.writeUInt32BE(wrap.bytes * 8);
  const material = agreement.userKeyingMaterial;
  // ECC-CMS-SharedInfo (RFC 5753 7.2), with the wrap's identifier as its sender wrote it.
  const shared = encode(
    sequence(
      raw(wrapping.bytes),
      ...(material === undefined ? [] : [tagged(0, octets(material))]),
      tagged(2, octets(length)),
    ),
  );
  const key = derive(hash, secret, shared, wrap.bytes);
  const decipher = createDecipheriv(wrap.cipher, key, WRAP_IV);
  return Uint8Array.from(Buffer.concat([decipher.update(encryptedKey), decipher.final()]));
}

/** The KDF of ANSI X9.63 (SEC 1 3.6.1). */
function derive(hash: string, secret: Uint8Array, shared: Uint8Array, bytes: number): Buffer {
  const blocks: Buffer[] = [];
  for (let at = 0, counter = 1; at < bytes; counter += 1) {
    const count = Buffer.alloc(4);
    count.writeUInt32BE(counter);
    const block = createHash(hash).update(secret).update(count).update(shared).digest();
    blocks.push(block);
    at += block.length;
  }
  return Buffer.concat(blocks).subarray(0, bytes);
}

/** Refuses a point that is not on the recipient's own curve: OpenSSL looks. */
function onCurveOf(own: KeyObject, point: Uint8Array): KeyObject {
  const [algorithm] = childrenOf(decode(exportPublicKey(own)), TAG.sequence, 'Public key');
  if (algorithm === undefined) throw malformed('A public key has no algorithm');
  const spki = encode(sequence(raw(algorithm.bytes), bitString(point)));
  try {
    return createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' });
  } catch (cause) {
    throw malformed('An ephemeral key is not on the curve of its recipient', cause);
  }
}

const notSo = (how: string): BranchboxError =>
  new BranchboxError('pki/mismatch', {
    message: `What came is encrypted ${how}`,
    mend: 'have it encrypted in another way, or not at all: what is signed is believed without',
  });
