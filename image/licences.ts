/**
 * Owns the texts that the licences of npm's packages and of Node require to be passed on: one file, beside the bundle,
 * whose code has lost its comments.
 * Does not own Debian's, which each package brings itself, nor licences by name (inventory.ts).
 */
import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { parseNpmPackage } from './inventory.ts';

const CHECKOUT = join(import.meta.dirname, '..');
const TEXT = /^(?:licen[cs]e|copying|notice)(?:[.-].*)?$/i;

/** `packages`: directories below the checkout. Sorted, each version of a package once. */
export function renderLicences(packages: readonly string[]): string {
  const sections = packages.map((directory) => {
    const path = join(CHECKOUT, directory);
    const file = join(path, 'package.json');
    const { name, version, licences } = parseNpmPackage(readFileSync(file, 'utf8'), file);
    const texts = readdirSync(path)
      .filter((entry) => TEXT.test(entry))
      .toSorted()
      .map((entry) => readFileSync(join(path, entry), 'utf8').trim());
    // Some say it in package.json alone.
    return [`${name} ${version}: ${licences.join(', ')}`, ...texts].join('\n\n');
  });
  return `${[...new Set(sections)].toSorted().join(`\n\n${'='.repeat(80)}\n\n`)}\n`;
}
