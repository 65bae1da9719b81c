/**
 * Owns the admin credential: made on first start into a file of its owner's, kept by the controller as a hash only.
 * Does not own what an admin may do (all of the API).
 */
import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { Secret } from '../model/secret.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { Store } from './store/store.ts';

const META_KEY = 'admin-credential-sha256';
/** 256 random bits: a plain hash is enough, since nothing can be guessed. */
const CREDENTIAL_BYTES = 32;

export interface AdminCredential {
  /** The value of an Authorization header. */
  accepts(authorization: string | undefined): boolean;
}

/** Removing the hash from the database (`meta`) makes a new one at the next start. */
export async function openAdminCredential(options: {
  readonly store: Store;
  readonly files: Files;
  readonly path: string;
  readonly log: Logger;
}): Promise<AdminCredential> {
  const known = await options.store.records.meta(META_KEY);
  const hash = known === undefined ? await makeCredential(options) : Buffer.from(known, 'hex');
  return {
    accepts(authorization) {
      const token = /^Bearer ([A-Za-z0-9_-]{1,200})$/i.exec(authorization ?? '')?.[1];
      return token !== undefined && timingSafeEqual(sha256(token), hash);
    },
  };
}

async function makeCredential(options: {
  readonly store: Store;
  readonly files: Files;
  readonly path: string;
  readonly log: Logger;
}): Promise<Buffer> {
  const token = new Secret(randomBytes(CREDENTIAL_BYTES).toString('base64url'));
  const hash = sha256(token.reveal());
  // The file first: a hash without its file would lock everybody out.
  await options.files.writeDurable(options.path, `${token.reveal()}\n`, 0o600);
  await options.store.records.setMeta(META_KEY, hash.toString('hex'));
  options.log.info('made the admin credential', { path: options.path });
  return hash;
}

function sha256(text: string): Buffer {
  return createHash('sha256').update(text).digest();
}
