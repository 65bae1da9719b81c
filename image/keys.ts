/**
 * Owns the keys that an image is signed with: where they are, and test keys made on first use.
 * Does not own signing (make-uki.sh, make-disk.sh, update manifest).
 */
import { existsSync } from 'node:fs';
import { mkdir } from 'node:fs/promises';
import { join } from 'node:path';
import type { Toolbox } from './toolbox.ts';

export interface Keys {
  readonly directory: string;
  /** PEM; Secure Boot's db. */
  readonly dbKey: string;
  readonly dbCertificate: string;
}

/** RSA-2048: what UEFI firmware is sure to verify (UEFI 2.10, 32.5.3.3). */
export async function ensureKeys(directory: string, toolbox: Toolbox): Promise<Keys> {
  const dbKey = join(directory, 'db.key');
  const dbCertificate = join(directory, 'db.crt');
  if (!existsSync(dbKey) || !existsSync(dbCertificate)) {
    await mkdir(directory, { recursive: true, mode: 0o700 });
    await toolbox.run(
      [directory],
      'openssl req -x509 -newkey rsa:2048 -noenc -days 36500 -sha256'
        .split(' ')
        .concat('-subj', '/CN=Branchbox test key for Secure Boot', '-keyout', dbKey, '-out', dbCertificate),
    );
  }
  return { directory, dbKey, dbCertificate };
}
