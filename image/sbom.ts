/**
 * Owns the software bill of materials: CycloneDX 1.6 as JSON (ECMA-424). Pure.
 * Does not own finding out what is in an image (inventory.ts).
 */
import type { Component } from './inventory.ts';

export interface SbomOptions {
  readonly version: string;
  /** Milliseconds since 1970. */
  readonly builtAtMs: number;
  readonly rootHash: string;
  readonly components: readonly Component[];
}

/** Package URLs (purl-spec): what scanners look vulnerabilities up by. */
export function purlOf({ ecosystem, name, version, arch, source }: Component): string {
  if (ecosystem === 'npm') return `pkg:npm/${name.replace('@', '%40')}@${encodeURIComponent(version)}`;
  const qualifiers = [
    ...(arch === undefined ? [] : [`arch=${arch}`]),
    'distro=debian-13',
    // Debian's advisories speak of source packages.
    ...(source === undefined
      ? []
      : [`upstream=${encodeURIComponent(source.name)}%40${encodeURIComponent(source.version)}`]),
  ];
  return `pkg:deb/debian/${encodeURIComponent(name)}@${encodeURIComponent(version)}?${qualifiers.join('&')}`;
}

/** npm's are SPDX expressions, but for two ways of saying none (package.json, `license`); Debian's have names of its own. */
function licencesOf({ ecosystem, licences }: Component): readonly object[] {
  const [expression, ...more] = licences;
  const isSpdx =
    ecosystem === 'npm' && more.length === 0 && !/^(?:SEE LICENSE IN |UNLICENSED$)/.test(expression ?? '');
  if (isSpdx && expression !== undefined) return [{ expression }];
  return licences.map((name) => ({ license: { name } }));
}

export function renderSbom({ version, builtAtMs, rootHash, components }: SbomOptions): string {
  const firmware = `pkg:generic/branchbox@${encodeURIComponent(version)}`;
  const listed = components.map((component) => ({
    type: 'library',
    'bom-ref': purlOf(component),
    name: component.name,
    version: component.version,
    purl: purlOf(component),
    ...(component.cpe === undefined ? {} : { cpe: component.cpe }),
    licenses: licencesOf(component),
  }));
  const bom = {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      timestamp: new Date(builtAtMs).toISOString(),
      component: {
        type: 'firmware',
        'bom-ref': firmware,
        name: 'branchbox',
        version,
        purl: firmware,
        licenses: [{ license: { id: 'Apache-2.0' } }],
        // dm-verity's: what a running box names its root by.
        hashes: [{ alg: 'SHA-256', content: rootHash }],
      },
    },
    components: listed,
    dependencies: [{ ref: firmware, dependsOn: listed.map((one) => one['bom-ref']) }],
  };
  return `${JSON.stringify(bom, null, 1)}\n`;
}
