/**
 * Owns a key with its certificate as one file of a key-holding process, so that the two can never disagree.
 * Does not own which keys there are. A key leaves its file only as a KeyObject of the process that reads it.
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { Secret } from '../../model/secret.ts';
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import type { Credential } from '../../pki/issue.ts';
import {
  exportPrivateKey,
  generateKeyPair,
  importPrivateKey,
  type KeyPair,
  publicKeyOf,
  sameKey,
} from '../../pki/keys.ts';
import type { Files, FirstFiles } from '../../system/ports.ts';

export interface KeyFiles {
  /** undefined where it was never made; anything else that is not whole is an error, never a new key. */
  load(name: string): Promise<Credential | undefined>;
  /** Makes a key, has it certified and writes both. Overwrites. */
  make(name: string, certify: (pair: KeyPair) => Certificate): Promise<Credential>;
}

const CERTIFICATE_BEGINS = '-----BEGIN CERTIFICATE-----';

export function createKeyFiles(options: { readonly files: Files; readonly directory: string }): KeyFiles {
  const { files, directory } = options;
  const pathOf = (name: string): string => join(directory, `${name}.pem`);
  return {
    async load(name) {
      const path = pathOf(name);
      const text = await files.readText(path);
      if (text === undefined) return undefined;
      const at = text.indexOf(CERTIFICATE_BEGINS);
      if (at === -1) throw new BranchboxError('pki/malformed', { message: `${path} holds no certificate` });
      const key = importPrivateKey(new Secret(text.slice(0, at)));
      const certificate = parseCertificate(text.slice(at));
      if (!sameKey(publicKeyOf(key), certificate.publicKey)) {
        throw new BranchboxError('pki/malformed', { message: `${path} holds a certificate of another key` });
      }
      return { key, certificate, chain: [] };
    },
    async make(name, certify) {
      const { text, credential } = madeBy(certify);
      await files.writeDurable(pathOf(name), text, 0o600);
      return credential;
    },
  };
}

/** As `make`, of two processes at once by one of them; undefined: there is one by now, and it stays. */
export async function makeFirst(
  { files, directory }: { readonly files: FirstFiles; readonly directory: string },
  name: string,
  certify: (pair: KeyPair) => Certificate,
): Promise<Credential | undefined> {
  const { text, credential } = madeBy(certify);
  return (await files.writeFirst(join(directory, `${name}.pem`), text, 0o600)) ? credential : undefined;
}

function madeBy(certify: (pair: KeyPair) => Certificate): {
  readonly text: string;
  readonly credential: Credential;
} {
  const pair = generateKeyPair();
  const certificate = certify(pair);
  return {
    text: exportPrivateKey(pair.privateKey).reveal() + certificate.pem,
    credential: { key: pair.privateKey, certificate, chain: [] },
  };
}
