/**
 * Owns firmware versions for tests: their bytes, made up, and the manifest that fits them.
 * Does not own a disk they are put on (firmwareDisk.ts).
 */
import { createHash } from 'node:crypto';
import type { FirmwareManifest, PartRole } from '../../src/model/firmware.ts';
import type { Target } from '../../src/update/manifest.ts';

export interface Version {
  readonly target: Target;
  readonly bytes: Readonly<Record<PartRole, Buffer>>;
}

export const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');
const SIZES: Readonly<Record<PartRole, number>> = { root: 4000, verity: 250, uki: 900 };
export const SMALL_SIZES: typeof SIZES = { root: 300, verity: 20, uki: 80 };

/** What a release says of itself. */
export function manifestOf(
  version: string,
  rootHash: string,
  bytes: Readonly<Record<PartRole, Buffer>>,
  change: Partial<FirmwareManifest> = {},
): FirmwareManifest {
  const part = (role: PartRole) => ({
    role,
    file: `branchbox-${version}.${role === 'uki' ? 'efi' : role}`,
    sizeBytes: bytes[role].length,
    sha256: sha256(bytes[role]),
  });
  return {
    schema: 1,
    product: 'branchbox',
    arch: 'x86-64',
    version,
    builtAtMs: Date.now(),
    rootHash,
    parts: [part('root'), part('verity'), part('uki')],
    ...change,
  };
}

/** Contents that differ from version to version; a boot entry ends in the root hash that it starts. */
export function makeVersion(
  version: string,
  { sizes = SIZES, ...change }: Partial<FirmwareManifest> & { readonly sizes?: typeof SIZES } = {},
): Version {
  const rootHash = sha256(Buffer.from(version));
  const fill = (role: PartRole): Buffer => {
    const bytes = Buffer.alloc(sizes[role]);
    for (let i = 0; i < bytes.length; i += 1) bytes[i] = rootHash.charCodeAt(i % 64) ^ (i >> 6) ^ role.length;
    if (role === 'uki') bytes.write(rootHash, bytes.length - 64);
    return bytes;
  };
  const bytes = { root: fill('root'), verity: fill('verity'), uki: fill('uki') };
  const manifest = manifestOf(version, rootHash, bytes, { builtAtMs: 1, ...change });
  return { target: { manifest, digest: sha256(Buffer.from(JSON.stringify(manifest))) }, bytes };
}
