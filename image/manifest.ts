/**
 * Owns what is said of a build beside its files: manifest.json, the update's manifest before it is signed, the table of
 * sizes, SHA256SUMS. Pure. Does not own signing (signing.ts) nor making the files (publish.ts).
 */
import { FirmwareManifest, type PartRole } from '../src/model/firmware.ts';
import type { Artefact } from './artefact.ts';
import type { Component } from './inventory.ts';

export interface BuildFacts {
  readonly version: string;
  readonly builtAtMs: number;
  readonly rootHash: string;
  /** The kernel's own name: 6.12.118+deb13-amd64. */
  readonly kernel: string;
}

/** `sizes` in bytes, unpacked, by what they are for. */
export type PartSizes = Readonly<Record<string, number>>;

export function renderUpdateManifest(
  { version, builtAtMs, rootHash }: Omit<BuildFacts, 'kernel'>,
  parts: Readonly<Record<PartRole, Artefact>>,
): Uint8Array {
  const manifest = FirmwareManifest.parse({
    schema: 1,
    product: 'branchbox',
    arch: 'x86-64',
    version,
    builtAtMs,
    rootHash,
    parts: Object.entries(parts).map(([role, { file, sizeBytes, sha256 }]) => ({
      role,
      file,
      sizeBytes,
      sha256,
    })),
  });
  return Buffer.from(JSON.stringify(manifest));
}

export function renderManifest(
  facts: BuildFacts,
  artefacts: readonly Artefact[],
  sizes: PartSizes,
  components: readonly Component[],
): string {
  const licences = [...new Set(components.flatMap((component) => component.licences))].sort();
  const packages = components.map(({ ecosystem, name, version, licences }) => ({
    ecosystem,
    name,
    version,
    licences,
  }));
  return `${JSON.stringify({ schema: 1, product: 'branchbox', ...facts, sizes, artefacts, licences, packages }, null, 1)}\n`;
}

/** As `sha256sum --check` reads it, sorted by name. */
export const renderSums = (artefacts: readonly Artefact[]): string =>
  artefacts
    .toSorted((left, right) => (left.file < right.file ? -1 : 1))
    .map(({ sha256, file }) => `${sha256}  ${file}\n`)
    .join('');

export function renderSizes(sizes: PartSizes, artefacts: readonly Artefact[]): string {
  const row = (name: string, bytes: number): string =>
    `  ${name.padEnd(44)} ${(bytes / 1_000_000).toFixed(1).padStart(8)} MB`;
  return [
    'parts',
    ...Object.entries(sizes).map(([name, bytes]) => row(name, bytes)),
    'files',
    ...artefacts.map(({ file, sizeBytes }) => row(file, sizeBytes)),
  ].join('\n');
}
