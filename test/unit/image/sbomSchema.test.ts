/** The bill of materials against CycloneDX's own schema, as its library for JavaScript carries it. */
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { Ajv } from 'ajv';
import { describe, expect, it } from 'vitest';
import type { Component } from '../../../image/inventory.ts';
import { renderSbom } from '../../../image/sbom.ts';

const SCHEMAS = join(import.meta.dirname, '../../../node_modules/@cyclonedx/cyclonedx-library/res/schema');
/** What bom-1.6 refers to, by the names that it has for them. */
const PARTS = ['spdx', 'jsf-0.82', 'cryptography-defs'];
const schema = (name: string): object =>
  JSON.parse(readFileSync(join(SCHEMAS, `${name}.SNAPSHOT.schema.json`), 'utf8')) as object;

const deb: Component = {
  ecosystem: 'deb',
  name: 'frr',
  version: '1:10.3-3+deb13u1~x',
  source: { name: 'frr', version: '10.3-3+deb13u1' },
  arch: 'amd64',
  licences: ['GPL-2+', 'LicenseRef-microcode'],
};
const npm: Component = { ecosystem: 'npm', name: '@scope/part', version: '4.0.0', licences: ['MIT'] };
const bomOf = (components: readonly Component[]): unknown =>
  JSON.parse(renderSbom({ version: '0.2.0+2', builtAtMs: 0, rootHash: 'ab'.repeat(32), components }));

describe('the bill of materials', () => {
  // Formats are not looked at: of ours there is the timestamp, which Date writes.
  const ajv = new Ajv({ strict: false, allErrors: true, validateFormats: false });
  for (const part of PARTS)
    ajv.addSchema(schema(part), `http://cyclonedx.org/schema/${part}.SNAPSHOT.schema.json`);
  const fits = ajv.compile(schema('bom-1.6'));
  /** Where a bill does not fit, as `PATH MESSAGE`. */
  const problemsOf = (bom: unknown): readonly string[] =>
    fits(bom) ? [] : (fits.errors ?? []).map(({ instancePath, message }) => `${instancePath} ${message}`);

  it('fits the schema of CycloneDX 1.6, whatever licences and names there are', () => {
    const components: Component[] = [
      deb,
      { ...npm, licences: ['(MIT OR Apache-2.0)'] },
      { ...npm, name: 'named', licences: ['SEE LICENSE IN file'] },
      { ...npm, name: 'several', licences: ['MIT', 'ISC'] },
      { ...npm, name: 'none', licences: [] },
      { ...npm, name: 'node', cpe: 'cpe:2.3:a:nodejs:node.js:24.21.0:*:*:*:*:*:*:*' },
    ];
    expect(problemsOf(bomOf(components))).toEqual([]);
    expect(problemsOf(bomOf([]))).toEqual([]);
  });

  it('would not with a component twice, without a name, or a hash of no known kind', () => {
    expect(problemsOf(bomOf([npm, npm]))).toContainEqual(
      expect.stringMatching(/^\/components must NOT have duplicate items/),
    );
    const bom = bomOf([deb]) as { components: { name?: string }[] };
    delete bom.components[0]?.name;
    expect(problemsOf(bom)).toEqual(["/components/0 must have required property 'name'"]);
    const text = JSON.stringify(bomOf([deb])).replace('"SHA-256"', '"sha256"');
    expect(problemsOf(JSON.parse(text))).toEqual([
      '/metadata/component/hashes/0/alg must be equal to one of the allowed values',
    ]);
  });
});
