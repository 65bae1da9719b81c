import { createPublicKey, generateKeyPairSync, sign, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { describe as describeFile } from '../../../image/artefact.ts';
import { commandLine } from '../../../image/assemble.ts';
import { renderManifest, renderSizes, renderSums, renderUpdateManifest } from '../../../image/manifest.ts';
import { toPlainSignature } from '../../../image/signing.ts';
import { FirmwareManifest } from '../../../src/model/firmware.ts';

const scratch = mkdtempSync(join(tmpdir(), 'image-manifest-'));
afterAll(() => rmSync(scratch, { recursive: true }));

const facts = { version: '0.2.0', builtAtMs: 1000, rootHash: 'ab'.repeat(32), kernel: '6.12.1' };
const artefact = (file: string, sizeBytes = 1) => ({ file, sizeBytes, sha256: 'cd'.repeat(32) });
const parts = { root: artefact('b.root'), verity: artefact('b.verity'), uki: artefact('b.efi') };

describe('what is said of a build', () => {
  it('an update manifest is what a box decodes', () => {
    const manifest = FirmwareManifest.parse(
      JSON.parse(Buffer.from(renderUpdateManifest(facts, parts)).toString()),
    );
    expect(manifest.parts.map(({ role, file }) => [role, file])).toEqual([
      ['root', 'b.root'],
      ['verity', 'b.verity'],
      ['uki', 'b.efi'],
    ]);
  });

  it('a root that no slot has room for is refused here, not on the box', () => {
    const tooLarge = { ...parts, root: artefact('b.root', 769 * 1024 * 1024) };
    expect(() => renderUpdateManifest(facts, tooLarge)).toThrow(/larger/);
  });

  it('checksums are as sha256sum reads them, in the order of names', () => {
    expect(renderSums([artefact('b'), artefact('a')])).toBe(`${'cd'.repeat(32)}  a\n${'cd'.repeat(32)}  b\n`);
  });

  it('a file is told by name, size and digest', async () => {
    const path = join(scratch, 'file');
    writeFileSync(path, 'abc');
    expect(await describeFile(path)).toEqual({
      file: 'file',
      sizeBytes: 3,
      sha256: 'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad',
    });
  });

  it('the manifest has each licence once; the table has megabytes', () => {
    const component = (name: string, licences: string[]) =>
      ({ ecosystem: 'deb', name, version: '1', licences }) as const;
    const components = [component('a', ['MIT', 'ISC']), component('b', ['MIT'])];
    const manifest = JSON.parse(renderManifest(facts, [artefact('x')], { root: 5 }, components)) as {
      licences: string[];
      sizes: unknown;
    };
    expect(manifest.licences).toEqual(['ISC', 'MIT']);
    expect(manifest.sizes).toEqual({ root: 5 });
    expect(renderSizes({ root: 1_500_000 }, [])).toMatch(/root +1\.5 MB/);
  });
});

describe('signatures', () => {
  it('of a token become what a JWS has, whatever the length of their numbers', () => {
    const { privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const data = Buffer.from('data');
    // Enough that numbers with a leading zero and with a sign octet are among them.
    for (let round = 0; round < 300; round += 1) {
      const plain = toPlainSignature(sign('sha256', data, privateKey));
      const key = { key: createPublicKey(privateKey), dsaEncoding: 'ieee-p1363' } as const;
      expect(plain).toHaveLength(64);
      expect(verify('sha256', data, key, plain)).toBe(true);
    }
  });
});

describe('the command line', () => {
  it('names one root, mounts it read-only, takes either copy of the table, and restarts on a panic', () => {
    expect(commandLine('ab'.repeat(32)).split(' ')).toEqual(
      expect.arrayContaining([`roothash=${'ab'.repeat(32)}`, 'ro', 'gpt', 'panic=10']),
    );
  });
});
