/**
 * Owns the box's WireGuard key: made here, kept in one file, its public half told to the controller.
 * The private half never leaves the box, nor enters an item or an argument list: `wg` reads the file.
 */
import { createPrivateKey, createPublicKey, generateKeyPairSync, type KeyObject } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import type { Files } from '../system/ports.ts';

/** PKCS#8 of X25519 (RFC 8410 section 7) is this and the 32 bytes of the key. */
const PKCS8_PREFIX = Buffer.from('302e020100300506032b656e04220420', 'hex');
const KEY_BYTES = 32;

export async function ensureWireguardKey(files: Files, path: string): Promise<string> {
  const text = await files.readText(path, 1024);
  if (text !== undefined) return publicKeyOf(readKey(new Secret(text.trim()), path));
  return makeWireguardKey(files, path);
}

/** Replaces the present one. Peers do not know it, and accept it once the controller has told them. */
export async function makeWireguardKey(files: Pick<Files, 'writeDurable'>, path: string): Promise<string> {
  const { privateKey } = generateKeyPairSync('x25519');
  const { d } = privateKey.export({ format: 'jwk' });
  const raw = new Secret(Buffer.from(d ?? '', 'base64url').toString('base64'));
  await files.writeDurable(path, `${raw.reveal()}\n`, 0o600);
  return publicKeyOf(privateKey);
}

function readKey(base64: Secret, path: string): KeyObject {
  const raw = Buffer.from(base64.reveal(), 'base64');
  if (raw.length !== KEY_BYTES) {
    throw new BranchboxError('system/file', { message: `${path} holds no WireGuard key` });
  }
  return createPrivateKey({ key: Buffer.concat([PKCS8_PREFIX, raw]), format: 'der', type: 'pkcs8' });
}

function publicKeyOf(privateKey: KeyObject): string {
  const { x } = createPublicKey(privateKey).export({ format: 'jwk' });
  return Buffer.from(x ?? '', 'base64url').toString('base64');
}
