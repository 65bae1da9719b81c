/**
 * Owns the first message of a WireGuard handshake, made by hand (whitepaper 5.4.2): with any time in it, which no clock that
 * may be touched here would put there. To a peer it is a call of whoever has the private key.
 */
import {
  createCipheriv,
  createHash,
  createHmac,
  createPrivateKey,
  createPublicKey,
  diffieHellman,
  generateKeyPairSync,
  type KeyObject,
} from 'node:crypto';
import { blake2sMac } from './blake2sMac.ts';

const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const SPKI_PREFIX = Buffer.from('302a300506032b656e032100', 'hex');
/** TAI64's label of 1970 (whitepaper 5.1 names TAI64N; implementations add no leap seconds but these ten). */
const TAI64_1970 = 2n ** 62n + 10n;

const hash = (...parts: readonly (Uint8Array | string)[]): Buffer => {
  const made = createHash('blake2s256');
  for (const part of parts) made.update(part);
  return made.digest();
};
const hmac = (key: Buffer, ...parts: readonly Uint8Array[]): Buffer => {
  const made = createHmac('blake2s256', key);
  for (const part of parts) made.update(part);
  return made.digest();
};
function kdf(chain: Buffer, input: Uint8Array): readonly [Buffer, Buffer] {
  const secret = hmac(chain, input);
  const first = hmac(secret, Buffer.of(1));
  return [first, hmac(secret, first, Buffer.of(2))];
}
function seal(key: Buffer, text: Uint8Array, associated: Buffer): Buffer {
  const cipher = createCipheriv('chacha20-poly1305', key, Buffer.alloc(12), { authTagLength: 16 });
  cipher.setAAD(associated, { plaintextLength: text.length });
  return Buffer.concat([cipher.update(text), cipher.final(), cipher.getAuthTag()]);
}
const rawOf = (key: KeyObject): Buffer =>
  createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(SPKI_PREFIX.length);

/** Keys in WireGuard's base64. */
export function wireguardCall(call: {
  readonly privateKey: string;
  readonly peerPublicKey: string;
  readonly atMs: number;
}): Buffer {
  const own = createPrivateKey({
    key: Buffer.concat([PKCS8_PREFIX, Buffer.from(call.privateKey, 'base64')]),
    format: 'der',
    type: 'pkcs8',
  });
  const peerRaw = Buffer.from(call.peerPublicKey, 'base64');
  const peer = createPublicKey({ key: Buffer.concat([SPKI_PREFIX, peerRaw]), format: 'der', type: 'spki' });
  const ephemeral = generateKeyPairSync('x25519');
  const ephemeralRaw = rawOf(ephemeral.privateKey);

  let chain = hash('Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s');
  let transcript = hash(hash(chain, 'WireGuard v1 zx2c4 Jason@zx2c4.com'), peerRaw);
  chain = kdf(chain, ephemeralRaw)[0];
  transcript = hash(transcript, ephemeralRaw);
  let key: Buffer;
  [chain, key] = kdf(chain, diffieHellman({ privateKey: ephemeral.privateKey, publicKey: peer }));
  const sealedKey = seal(key, rawOf(own), transcript);
  transcript = hash(transcript, sealedKey);
  [chain, key] = kdf(chain, diffieHellman({ privateKey: own, publicKey: peer }));
  const time = Buffer.alloc(12);
  time.writeBigUInt64BE(TAI64_1970 + BigInt(Math.floor(call.atMs / 1000)));
  const message = Buffer.concat([
    Buffer.of(1, 0, 0, 0),
    // Who answers names it.
    Buffer.of(7, 0, 0, 0),
    ephemeralRaw,
    sealedKey,
    seal(key, time, transcript),
  ]);
  return Buffer.concat([message, blake2sMac(hash('mac1----', peerRaw), message), Buffer.alloc(16)]);
}
