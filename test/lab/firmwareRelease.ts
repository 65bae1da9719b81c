/**
 * Owns releases as a build makes them, small: a root with real dm-verity hashes, a boot entry, a manifest; and the
 * authorities that sign. Does not own where they go (firmwareWorld.ts) nor who hands them out (firmwareServer.ts).
 */
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { FirmwareManifest } from '../../src/model/firmware.ts';
import { type Credential, issueCertificate, type Profile, selfSignedCa } from '../../src/pki/issue.ts';
import { generateKeyPair } from '../../src/pki/keys.ts';
import { manifestOf } from '../fakes/firmwareVersion.ts';

const MIB = 1024 * 1024;
const validity = { notBeforeMs: Date.now() - 86_400_000, notAfterMs: Date.now() + 86_400_000 };

export interface Release {
  readonly version: string;
  readonly rootHash: string;
  readonly parts: Readonly<Record<'root' | 'verity' | 'uki', Buffer>>;
  readonly manifest: FirmwareManifest;
}

/** A CA and what it issues. */
export function makeAuthority(): { readonly ca: Credential; issue(profile: Profile): Credential } {
  const { privateKey } = generateKeyPair();
  const ca: Credential = {
    key: privateKey,
    certificate: selfSignedCa({ commonName: 'Test CA', key: privateKey, validity }),
    chain: [],
  };
  return {
    ca,
    issue(profile) {
      const pair = generateKeyPair();
      const certificate = issueCertificate({ profile, publicKey: pair.publicKey, issuer: ca, validity });
      return { key: pair.privateKey, certificate, chain: [] };
    },
  };
}

/** The smallest PE file that a boot entry's reader takes: one section, `.cmdline`; then some bulk. */
function makeUki(rootHash: string, bulkBytes: number): Buffer {
  const head = Buffer.alloc(1024);
  head.write('MZ');
  head.writeUInt32LE(64, 0x3c);
  head.write('PE\0\0', 64, 'latin1');
  head.writeUInt16LE(1, 64 + 6);
  head.writeUInt16LE(16, 64 + 20);
  const section = 64 + 24 + 16;
  const commandLine = `ro roothash=${rootHash} panic=10`;
  head.write('.cmdline', section);
  head.writeUInt32LE(commandLine.length, section + 8);
  head.writeUInt32LE(512, section + 16);
  head.writeUInt32LE(512, section + 20);
  head.write(commandLine, 512);
  return Buffer.concat([head, randomBytes(bulkBytes)]);
}

export function makeRelease(
  directory: string,
  version: string,
  change: Partial<FirmwareManifest> = {},
): Release {
  const at = (name: string): string => join(directory, `${name}-${version}`);
  // Squares no block size: a part ends where it ends.
  const root = randomBytes(6 * MIB + 4096);
  writeFileSync(at('root'), root);
  const said = execFileSync('veritysetup', ['format', at('root'), at('verity')], { encoding: 'utf8' });
  const rootHash = /Root hash:\s*([0-9a-f]{64})/.exec(said)?.[1] ?? '';
  const parts = { root, verity: readFileSync(at('verity')), uki: makeUki(rootHash, 2 * MIB + 77) };
  const manifest = manifestOf(version, rootHash, parts, change);
  return { version, rootHash, parts, manifest };
}
