/**
 * Owns the keys that an image is signed with: where they are, and test keys made on first use.
 * Does not own signing (make-uki.sh, make-disk.sh, signing.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import { mkdir, readdir, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { BranchboxError, type Problem } from '../src/model/errors.ts';
import { parseCertificates, toPem } from '../src/pki/certificate.ts';
import { issueCertificate, NO_EXPIRY_MS, selfSignedCa } from '../src/pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../src/pki/keys.ts';
import { keyProblems } from './keyKinds.ts';
import type { Toolbox } from './toolbox.ts';

export interface SigningKey {
  /** A PEM file, or a PKCS#11 URI (RFC 7512) whose PIN, where it has one, is in a file: `pin-source=file:…`. */
  readonly key: string;
  /** A PEM file. */
  readonly certificate: string;
}

export interface Keys {
  readonly directory: string;
  /** Secure Boot: signs the boot loader and the kernel. RSA-2048, which firmware is sure to verify. */
  readonly db: SigningKey;
  /** Signs update manifests and checksums. P-256; its certificate carries our firmware-signing usage. */
  readonly release: SigningKey;
  /** PEM; put into the image: whom a box believes an update of. */
  readonly releaseAnchors: string;
}

/** p11-kit's, whose tokens are wherever `p11-kit server` runs. */
const DEFAULT_MODULE = '/usr/lib/x86_64-linux-gnu/pkcs11/p11-kit-client.so';
const NAMES = ['db', 'release'] as const;
/** When test keys begin to be valid: a box whose clock was never set believes them too. */
const NOT_BEFORE_MS = Date.UTC(2020, 0, 1);

const ANCHORS = 'release-anchors.pem';
const PARTS = [...NAMES.flatMap((name) => ['crt', 'key', 'uri'].map((end) => `${name}.${end}`)), ANCHORS];

/**
 * Keys of the directory: `db` and `release`, each NAME.crt with NAME.key, or with NAME.uri that holds a PKCS#11 URI; and
 * release-anchors.pem. undefined: none of these files is there. Throws `system/file` where some are, but not all, or one
 * is of no use.
 */
export function readKeys(directory: string): Keys | undefined {
  const file = (name: string): string => join(directory, name);
  const isThere = (name: string): boolean => existsSync(file(name));
  if (!PARTS.some(isThere)) return undefined;
  const missing = [...NAMES.map((name) => `${name}.crt`), ANCHORS].filter((name) => !isThere(name));
  const keyless = NAMES.filter((name) => !isThere(`${name}.key`) && !isThere(`${name}.uri`));
  if (missing.length > 0 || keyless.length > 0) {
    throw new BranchboxError('system/file', {
      message: `The signing keys in ${directory} are not whole`,
      problems: [...missing, ...keyless.map((name) => `${name}.key or ${name}.uri`)].map((name) => ({
        path: name,
        message: 'is missing',
      })),
      mend: 'Put what is missing there (docs/image.md), or leave --keys out for test keys.',
    });
  }
  requireUse(directory);
  const signingKey = (name: string): SigningKey => ({
    key: isThere(`${name}.uri`) ? readUri(file(`${name}.uri`)) : file(`${name}.key`),
    certificate: file(`${name}.crt`),
  });
  return {
    directory,
    db: signingKey('db'),
    release: signingKey('release'),
    releaseAnchors: file(ANCHORS),
  };
}

function requireUse(directory: string): void {
  const read = (name: string): string => readFileSync(join(directory, name), 'utf8');
  const problems = [
    ...NAMES.flatMap((name) => {
      const key = existsSync(join(directory, `${name}.uri`)) ? undefined : read(`${name}.key`);
      return keyProblems({ name, key, certificate: read(`${name}.crt`) });
    }),
    ...anchorProblems(read(ANCHORS)),
  ];
  if (problems.length === 0) return;
  throw new BranchboxError('system/file', {
    message: `The signing keys in ${directory} cannot be used`,
    problems,
    mend: 'docs/image.md, "Keys of one\u2019s own", has the words that make each.',
  });
}

function anchorProblems(pem: string): readonly Problem[] {
  try {
    if (parseCertificates(pem).length > 0) return [];
  } catch {
    // As one that is empty.
  }
  return [{ path: ANCHORS, message: 'holds no certificates in PEM' }];
}

/**
 * As readKeys(); a directory with none of them gets test keys, which `say` tells. One with some of them is never written
 * to: they are somebody's.
 */
export async function ensureKeys(
  directory: string,
  { toolbox, say }: { readonly toolbox: Toolbox; readonly say: (line: string) => void },
): Promise<Keys> {
  const there = readKeys(directory);
  if (there !== undefined) return there;
  say(`making test keys in ${directory}: for trying, not for boxes of yours (docs/image.md)`);
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Beside where they belong until all are there: a build that was stopped half way must not leave keys that are not whole.
  const making = join(directory, 'test-keys.part');
  await rm(making, { recursive: true, force: true });
  await mkdir(making, { mode: 0o700 });
  try {
    await makeDbKey(join(making, 'db'), toolbox);
    await makeReleaseKey(join(making, 'release'), join(making, ANCHORS));
    for (const name of await readdir(making)) await rename(join(making, name), join(directory, name));
  } finally {
    await rm(making, { recursive: true });
  }
  const made = readKeys(directory);
  if (made === undefined)
    throw new BranchboxError('internal', { message: `${directory} lost its test keys` });
  return made;
}

/** What signatures depend on: certificates by their content, since a key is renewed in the same place. */
export const certificatesOf = ({ db, release }: Keys): readonly string[] =>
  [db, release].map(({ certificate }) => readFileSync(certificate, 'utf8'));

/** A URI is a word of commands, which every process of the machine can read: no PIN in it. */
function readUri(path: string): string {
  const uri = readFileSync(path, 'utf8').trim();
  const problem = !uri.startsWith('pkcs11:')
    ? 'is no PKCS#11 URI (RFC 7512)'
    : // Wherever it stands: OpenSSL's provider takes it among the attributes of the path too, which RFC 7512 does not have.
      /pin-value=/i.test(uri)
      ? 'holds a PIN (pin-value), which the words of commands would show'
      : /\s/.test(uri)
        ? 'holds more than one URI: no other line, and no space that is not %20'
        : undefined;
  if (problem === undefined) return uri;
  throw new BranchboxError('system/file', {
    message: `${path} ${problem}`,
    mend: 'Write pkcs11:…?pin-source=file:/…/pin, with the PIN in that file.',
  });
}

/** For steps that sign: empty where the keys are files. PKCS11_MODULE of the caller's environment names another module. */
export function signingEnvironment({ db, release }: Keys): Record<string, string> {
  if (![db, release].some(({ key }) => key.startsWith('pkcs11:'))) return {};
  return {
    OPENSSL_CONF: join(import.meta.dirname, 'pkcs11.cnf'),
    PKCS11_MODULE: process.env['PKCS11_MODULE'] ?? DEFAULT_MODULE,
  };
}

/** UEFI 2.10, 32.5.3.3: RSA-2048 with SHA-256. */
async function makeDbKey(stem: string, toolbox: Toolbox): Promise<void> {
  await toolbox.run(
    [join(stem, '..')],
    'openssl req -x509 -newkey rsa:2048 -noenc -days 36500 -sha256'
      .split(' ')
      .concat('-subj', '/CN=Branchbox test key for Secure Boot')
      .concat('-keyout', `${stem}.key`, '-out', `${stem}.crt`),
  );
}

/** A CA that boxes trust, whose key is thrown away, and one signer below it. */
async function makeReleaseKey(stem: string, anchors: string): Promise<void> {
  const validity = { notBeforeMs: NOT_BEFORE_MS, notAfterMs: NO_EXPIRY_MS };
  const ca = generateKeyPair();
  const anchor = selfSignedCa({
    commonName: 'Branchbox test releases',
    key: ca.privateKey,
    validity,
    pathLength: 0,
  });
  const signer = generateKeyPair();
  const certificate = issueCertificate({
    profile: { kind: 'firmware-signing', commonName: 'Branchbox test release' },
    publicKey: signer.publicKey,
    issuer: { key: ca.privateKey, certificate: anchor },
    validity,
  });
  await writeFile(`${stem}.key`, exportPrivateKey(signer.privateKey).reveal(), { mode: 0o600, flag: 'wx' });
  await writeFile(`${stem}.crt`, toPem([certificate]));
  await writeFile(anchors, toPem([anchor]));
}
