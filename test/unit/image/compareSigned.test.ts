import { createHash, sign } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { compareSigned, type SignedFiles } from '../../../image/compareSigned.ts';
import { renderManifest, renderSums } from '../../../image/manifest.ts';
import { signJwsBy } from '../../../image/signing.ts';
import { toPem } from '../../../src/pki/certificate.ts';
import { NO_EXPIRY_MS, selfSignedCa } from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';

const VERSION = '1.0.0';
const JWS = `branchbox-${VERSION}.update.jws`;
const { privateKey } = generateKeyPair();
const certificate = selfSignedCa({
  commonName: 'Release',
  key: privateKey,
  validity: { notBeforeMs: 0, notAfterMs: NO_EXPIRY_MS },
  pathLength: 0,
});
const signer = {
  certificates: [certificate],
  sign: (data: Uint8Array) => Promise.resolve(sign('sha256', data, privateKey)),
};

/** As publish.ts makes them. */
async function build({ rootHash = 'ab'.repeat(32), root = 'root' } = {}): Promise<SignedFiles> {
  const artefact = (file: string, content: string) => ({
    file,
    sizeBytes: content.length,
    sha256: createHash('sha256').update(content).digest('hex'),
  });
  const updateJws = await signJwsBy(signer, Buffer.from(JSON.stringify({ rootHash })));
  const artefacts = [artefact(JWS, updateJws), artefact(`branchbox-${VERSION}.root`, root)];
  const facts = { version: VERSION, builtAtMs: 0, rootHash, kernel: '6.12' };
  const manifest = renderManifest(facts, artefacts, {}, []);
  const sums = renderSums([...artefacts, artefact('manifest.json', manifest)]);
  return {
    updateJws,
    manifest,
    sums,
    sumsSignature: await signer.sign(Buffer.from(sums)),
    certificate: toPem([certificate]),
  };
}
const compared = async (change: (second: SignedFiles) => Partial<SignedFiles>): Promise<string[]> => {
  const second = await build();
  return compareSigned(VERSION, await build(), { ...second, ...change(second) })
    .filter((line) => line.startsWith('differs'))
    .map((line) => line.split(' ')[1] ?? '');
};

describe('what two builds signed', () => {
  it('is the same but for what a signature makes different, each with its reason', async () => {
    expect(compareSigned(VERSION, await build(), await build())).toEqual([
      `same    ${JWS}, but for its signature (ECDSA holds a random number)`,
      `same    manifest.json, but for the digest of ${JWS}`,
      `same    SHA256SUMS, but for the digest of ${JWS} and that of manifest.json, which holds it`,
      'same    SHA256SUMS.sig, but for being of another SHA256SUMS (and ECDSA holds a random number)',
    ]);
  });

  it('is the same without a word where it is the same to the byte', async () => {
    const one = await build();
    expect(compareSigned(VERSION, one, one)).toEqual(
      [JWS, 'manifest.json', 'SHA256SUMS', 'SHA256SUMS.sig'].map((name) => `same    ${name}`),
    );
  });

  it('differs where anything else of it does', async () => {
    expect(await compared(() => ({}))).toEqual([]);
    const other = await build({ rootHash: 'cd'.repeat(32) });
    expect(await compared(() => other)).toEqual([JWS, 'manifest.json']);
    const otherRoot = await build({ root: 'boot' });
    expect(await compared(() => otherRoot)).toEqual(['manifest.json', 'SHA256SUMS']);
    expect(await compared(({ manifest }) => ({ manifest: manifest.replace('6.12', '6.13') }))).toEqual([
      'manifest.json',
      'SHA256SUMS',
    ]);
    // A digest is let through where it is that of the file that lies there, and not because it stands in its line.
    const stranger = (text: string): string =>
      text.replace(/[0-9a-f]{64}(?=.*\.update\.jws)/, 'ef'.repeat(32));
    expect(await compared(({ sums }) => ({ sums: stranger(sums) }))).toEqual([
      'SHA256SUMS',
      'SHA256SUMS.sig',
    ]);
  });

  it('differs where a signature is not of what it lies beside', async () => {
    const foreign = await build({ rootHash: 'cd'.repeat(32) });
    const signature = foreign.updateJws.split('.')[2] ?? '';
    expect(
      await compared(({ updateJws }) => ({ updateJws: updateJws.replace(/[^.]+$/, signature) })),
    ).toContain(JWS);
    expect(await compared(() => ({ sumsSignature: foreign.sumsSignature }))).toEqual(['SHA256SUMS.sig']);
  });
});
