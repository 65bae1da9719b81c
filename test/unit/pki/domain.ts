/** Owns the small PKI that tests of src/pki stand on, and the openssl that checks it. */
import { execFileSync, spawn, spawnSync } from 'node:child_process';
import { once } from 'node:events';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { BranchboxError } from '../../../src/model/errors.ts';
import type { Certificate } from '../../../src/pki/certificate.ts';
import { type Credential, issueCertificate, type Profile, selfSignedCa } from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { createRequest } from '../../../src/pki/request.ts';

export const NOW_MS = Date.UTC(2026, 5, 1);
export const DAY_MS = 86_400_000;
export const VALIDITY = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 90 * DAY_MS };

export function makeCa(commonName = 'Test CA', validity = VALIDITY): Credential {
  const { privateKey } = generateKeyPair();
  return { key: privateKey, certificate: selfSignedCa({ commonName, key: privateKey, validity }), chain: [] };
}

export function issue(issuer: Credential, profile: Profile, validity = VALIDITY): Credential {
  const { privateKey, publicKey } = generateKeyPair();
  const certificate = issueCertificate({ profile, publicKey, issuer, validity });
  return { key: privateKey, certificate, chain: [] };
}

/** The profile of a server that is reached by this name alone. */
export const serverNamed = (name: string) =>
  ({ kind: 'server', commonName: name, dnsNames: [name], ipAddresses: [] }) as const satisfies Profile;

/** The profile of a server that is reached at 127.0.0.1, whatever it is called. */
export const serverHere = (commonName: string) =>
  ({ kind: 'server', commonName, dnsNames: [], ipAddresses: ['127.0.0.1'] }) as const satisfies Profile;

/** What it makes: of a serial, a box's certificate. */
export function makeManufacturer(): (serial: string) => Certificate {
  const ca = makeCa('Manufacturer');
  return (serial) => issue(ca, { kind: 'idevid', serialNumber: serial, commonName: serial }).certificate;
}

/** The code a promise was refused with; `accepted` where it was not. */
export async function refusal(promise: Promise<unknown>): Promise<string> {
  try {
    await promise;
    return 'accepted';
  } catch (thrown) {
    return thrown instanceof BranchboxError ? thrown.code : `foreign: ${String(thrown)}`;
  }
}

export const hasOpenssl = spawnSync('openssl', ['version']).status === 0;

/** A directory and openssl in it, gone at the end of the block. */
export function openssl(): {
  readonly write: (name: string, content: string | Uint8Array) => string;
  readonly read: (name: string) => Buffer;
  readonly run: (...args: readonly string[]) => string;
  /** A server of its own; resolves once it listens. */
  readonly serve: (...args: readonly string[]) => Promise<{ readonly port: number; end(): Promise<void> }>;
  /** `openssl crl -verify`'s verdict, which it gives on standard error and by no exit code. */
  readonly judgeList: (list: string, ca: string) => string;
  readonly [Symbol.dispose]: () => void;
} {
  const directory = mkdtempSync(join(tmpdir(), 'bbt-pki-'));
  return {
    write: (name, content) => {
      writeFileSync(join(directory, name), content);
      return name;
    },
    read: (name) => readFileSync(join(directory, name)),
    run: (...args) => execFileSync('openssl', args, { cwd: directory, stdio: 'pipe' }).toString(),
    serve: async (...args) => {
      const server = spawn('openssl', args, { cwd: directory, stdio: ['pipe', 'pipe', 'ignore'] });
      const closed = once(server, 'close');
      for await (const line of createInterface({ input: server.stdout })) {
        const port = /^ACCEPT .*:(\d+)$/.exec(line)?.[1];
        if (port === undefined) continue;
        server.stdout.resume();
        return {
          port: Number(port),
          async end() {
            server.kill();
            await closed;
          },
        };
      }
      throw new Error(`openssl ${args.join(' ')} ended without listening`);
    },
    judgeList: (list, ca) => {
      const words = ['crl', '-in', list, '-verify', '-CAfile', ca, '-noout'];
      // The verdict is its first line; newer releases say below it where in the library that was found.
      const [verdict = ''] = spawnSync('openssl', words, { cwd: directory, encoding: 'utf8' }).stderr.split(
        '\n',
      );
      return verdict;
    },
    [Symbol.dispose]: () => rmSync(directory, { recursive: true }),
  };
}

/** Writes a root whose key nothing here can use, `root`, and that key, `k`. */
export function writeUnusableRoot(tool: ReturnType<typeof openssl>): void {
  const ask = ['-x509', '-newkey', 'ed25519', '-nodes', '-subj', '/CN=Root', '-days', '9'];
  tool.run('req', ...ask, '-keyout', 'k', '-out', 'root');
}

/** What others send above a CA that is believed: that CA by a root whose key nothing here can use, and that root. PEM. */
export function oldRootAbove(ca: Credential): string {
  using tool = openssl();
  writeUnusableRoot(tool);
  tool.write('csr', createRequest({ key: ca.key, commonName: ca.certificate.subject.commonName ?? '' }));
  tool.write('extensions', 'basicConstraints = critical, CA:TRUE\n');
  const by = ['-CA', 'root', '-CAkey', 'k', '-CAcreateserial', '-extfile', 'extensions'];
  tool.run('x509', '-req', '-inform', 'DER', '-in', 'csr', ...by, '-out', 'cross');
  return `${tool.read('cross').toString()}${tool.read('root').toString()}`;
}

/** openssl judges at the real now unless told otherwise. */
export const AT_NOW = ['-attime', String(NOW_MS / 1000)];
