/** Keys behind PKCS#11: what releases are signed with is never a file. Against SoftHSM, by the recipe's own steps. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ensureKeys, type Keys, signingEnvironment } from '../../image/keys.ts';
import { createReleaseSigner, signJwsBy } from '../../image/signing.ts';
import { createToolbox, type Toolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import { OID } from '../../src/pki/oids.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { wouldStart } from '../../src/update/secureBoot.ts';
import { makeDatabase } from '../fakes/signedProgram.ts';

const RECIPE = join(import.meta.dirname, '../../image');
const LOADER = '/usr/lib/systemd/boot/efi/systemd-bootx64.efi';

const believes = async (keys: Keys, jws: string): Promise<string> => {
  const { payload } = await verifyJws(jws, {
    anchors: parseCertificates(readFileSync(keys.releaseAnchors, 'utf8')),
    atMs: Date.now(),
    extendedKeyUsage: OID.firmwareSigning,
  });
  return Buffer.from(payload).toString();
};

describe('keys of one\u2019s own', () => {
  let directory: string;
  let toolbox: Toolbox;
  beforeAll(async () => {
    const runner = createRunner();
    const tools = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
    toolbox = createToolbox(runner, tools, { SOURCE_DATE_EPOCH: '0' });
    directory = mkdtempSync(join(tmpdir(), 'bbt-keys-'));
  }, 1_200_000);
  afterAll(() => rmSync(directory, { recursive: true }));

  it('made by the words of the docs sign what boxes and firmware believe', async () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/image.md'), 'utf8');
    const words = /^\*\*Keys of one's own\*\*.*?```sh\n(.*?)```/ms.exec(docs)?.[1];
    if (words === undefined) throw new Error('docs/image.md has no words for keys');
    await toolbox.run([directory], ['sh', '-euc', `cd ${directory}\n${words}`]);
    const keys = await ensureKeys(join(directory, 'keys'), {
      toolbox,
      say: (line) => {
        throw new Error(line);
      },
    });
    const signer = await createReleaseSigner(keys, toolbox, directory);
    expect(await believes(keys, await signJwsBy(signer, Buffer.from('{}')))).toBe('{}');
    const signed = join(directory, 'loader.efi');
    const { key, certificate } = keys.db;
    await toolbox.run([directory, RECIPE], [join(RECIPE, 'sign-efi.sh'), key, certificate, LOADER, signed]);
    const verified = await toolbox.run([directory], ['sbverify', '--cert', certificate, signed]);
    expect(verified).toMatch(/verification OK/);
    // So does an update that asks before it places a boot entry.
    const program = readFileSync(signed);
    const starts = (certificate: Buffer): Promise<boolean> =>
      wouldStart(async (offset, length) => program.subarray(offset, offset + length), {
        secureBoot: Buffer.from([6, 0, 0, 0, 1]),
        database: makeDatabase([new X509Certificate(certificate).raw]),
        shim: undefined,
      });
    expect(await starts(readFileSync(keys.db.certificate))).toBe(true);
    expect(await starts(readFileSync(keys.release.certificate))).toBe(false);
  });

  it('are never written over, whichever of them are there', async () => {
    const some = join(directory, 'some');
    mkdirSync(some);
    writeFileSync(join(some, 'release.key'), 'somebody\u2019s');
    await expect(ensureKeys(some, { toolbox, say: () => {} })).rejects.toThrow(/are not whole/);
    expect(readdirSync(some)).toEqual(['release.key']);
    expect(readFileSync(join(some, 'release.key'), 'utf8')).toBe('somebody\u2019s');
  });
});

describe('keys behind PKCS#11', () => {
  let directory: string;
  let keys: Keys;
  let toolbox: Toolbox;
  const before = { module: process.env['PKCS11_MODULE'], softhsm: process.env['SOFTHSM2_CONF'] };

  beforeAll(async () => {
    const runner = createRunner();
    const tools = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
    directory = mkdtempSync(join(tmpdir(), 'bbt-signing-'));
    const config = join(directory, 'softhsm2.conf');
    mkdirSync(join(directory, 'tokens'));
    writeFileSync(config, `directories.tokendir = ${directory}/tokens\n`);
    process.env['SOFTHSM2_CONF'] = config;
    process.env['PKCS11_MODULE'] = '/usr/lib/softhsm/libsofthsm2.so';

    // Test keys, moved into a token: certificates stay, private keys leave the directory.
    const inFiles = createToolbox(runner, tools);
    await ensureKeys(directory, { toolbox: inFiles, say: () => {} });
    const hsm = (...words: string[]) => inFiles.run([directory], ['softhsm2-util', ...words]);
    await hsm('--init-token', '--free', '--label', 'test', '--so-pin', '1234', '--pin', '1234');
    writeFileSync(join(directory, 'pin'), '1234');
    for (const [index, name] of ['db', 'release'].entries()) {
      const file = join(directory, `${name}.key`);
      const id = ['--label', name, '--id', `0${index + 1}`];
      await hsm('--import', file, '--token', 'test', ...id, '--pin', '1234');
      const uri = `pkcs11:token=test;object=${name};type=private?pin-source=file:${directory}/pin`;
      rmSync(file);
      writeFileSync(join(directory, `${name}.uri`), `${uri}\n`);
    }
    keys = await ensureKeys(directory, { toolbox: inFiles, say: () => {} });
    toolbox = createToolbox(runner, tools, { SOURCE_DATE_EPOCH: '0', ...signingEnvironment(keys) });
  }, 1_200_000);
  afterAll(() => {
    process.env['PKCS11_MODULE'] = before.module ?? '';
    process.env['SOFTHSM2_CONF'] = before.softhsm ?? '';
    rmSync(directory, { recursive: true });
  });

  it('sign an update manifest that a box believes', async () => {
    const signer = await createReleaseSigner(keys, toolbox, directory);
    const jws = await signJwsBy(signer, Buffer.from('{}'));
    expect(await believes(keys, jws)).toBe('{}');
  });

  it('sign what firmware starts', async () => {
    const signed = join(directory, 'loader.efi');
    await toolbox.run(
      [directory, RECIPE],
      [join(RECIPE, 'sign-efi.sh'), keys.db.key, keys.db.certificate, LOADER, signed],
    );
    const verified = await toolbox.run([directory], ['sbverify', '--cert', keys.db.certificate, signed]);
    expect(verified).toMatch(/verification OK/);
    // So does an update that asks before it places a boot entry.
    const program = readFileSync(signed);
    const starts = (certificate: Buffer): Promise<boolean> =>
      wouldStart(async (offset, length) => program.subarray(offset, offset + length), {
        secureBoot: Buffer.from([6, 0, 0, 0, 1]),
        database: makeDatabase([new X509Certificate(certificate).raw]),
        shim: undefined,
      });
    expect(await starts(readFileSync(keys.db.certificate))).toBe(true);
    expect(await starts(readFileSync(keys.release.certificate))).toBe(false);
  });

  it('give no PIN to the words of a command', async () => {
    const uri = join(directory, 'release.uri');
    const before = readFileSync(uri, 'utf8');
    writeFileSync(uri, 'pkcs11:token=test;object=release;type=private?pin-value=1234\n');
    const refused = ensureKeys(directory, { toolbox, say: () => {} });
    await expect(refused).rejects.toThrow(/pin-value/);
    await expect(refused).rejects.not.toThrow(/1234/);
    writeFileSync(uri, before);
  });

  it('are missed with a sentence that says what is missing where', async () => {
    rmSync(join(directory, 'release.uri'));
    await expect(ensureKeys(directory, { toolbox, say: () => {} })).rejects.toThrow(/are not whole/);
  });
});
