/** Keys behind PKCS#11: what releases are signed with is never a file. Against SoftHSM, by the recipe's own steps. */
import { X509Certificate } from 'node:crypto';
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { certificatesOf, ensureKeys, type Keys, signingEnvironment } from '../../image/keys.ts';
import { createReleaseSigner, signedAtMs, signJwsBy, signUpdateBy } from '../../image/signing.ts';
import { createToolbox, type Toolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { verifyJws } from '../../src/pki/jws.ts';
import { OID } from '../../src/pki/oids.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import { verifyManifest } from '../../src/update/manifest.ts';
import { programDigest } from '../../src/update/authenticode.ts';
import { whyNotStarted } from '../../src/update/secureBoot.ts';
import { makeVersion } from '../fakes/firmwareVersion.ts';
import { keysInToken, type Token } from './softhsm.ts';
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

/** The db key's signature is what firmware starts, and what an update expects that asks before it places a boot entry. */
async function signWhatIsStarted(keys: Keys, toolbox: Toolbox, directory: string): Promise<void> {
  const signed = join(directory, 'loader.efi');
  const { key, certificate } = keys.db;
  await toolbox.run([directory, RECIPE], [join(RECIPE, 'sign-efi.sh'), key, certificate, LOADER, signed]);
  const verified = await toolbox.run([directory], ['sbverify', '--cert', certificate, signed]);
  expect(verified).toMatch(/verification OK/);
  const program = readFileSync(signed);
  const read = async (offset: number, length: number) => program.subarray(offset, offset + length);
  const starts = async (certificate: Buffer): Promise<boolean> =>
    (await whyNotStarted(read, program.length, {
      secureBoot: Buffer.from([6, 0, 0, 0, 1]),
      database: makeDatabase([new X509Certificate(certificate).raw]),
      revoked: undefined,
      shim: undefined,
    })) === undefined;
  // The signature names what it covers, in clear.
  const digest = Buffer.from((await programDigest(read, program.length)) ?? '', 'hex');
  expect([digest.length, program.includes(digest)]).toEqual([32, true]);
  expect(await starts(readFileSync(keys.db.certificate))).toBe(true);
  expect(await starts(readFileSync(keys.release.certificate))).toBe(false);
}

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
    // Of a commit that is older than the keys, as it is whenever somebody makes keys to build with.
    const anchors = parseCertificates(readFileSync(keys.releaseAnchors, 'utf8'));
    const builtAtMs = signedAtMs(Date.now() - 86_400_000, signer.certificates, anchors);
    const { manifest } = makeVersion('1.0.0', { builtAtMs }).target;
    const update = await signUpdateBy(signer, Buffer.from(JSON.stringify(manifest)), anchors);
    expect((await verifyManifest(update, { anchors, arch: 'x86-64' })).manifest).toEqual(manifest);
    await signWhatIsStarted(keys, toolbox, directory);
  });

  it('are enrolled by the words of the docs, and what they signed is started there', async () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/image.md'), 'utf8');
    const words = /^\*\*Secure Boot on a box\*\*.*?```sh\n(.*?)```/ms.exec(docs)?.[1];
    if (words === undefined) throw new Error('docs/image.md has no words for Secure Boot');
    const place = join(directory, 'enrolled');
    const keys = await ensureKeys(place, { toolbox, say: () => {} });
    const show = 'virt-fw-vars --input OVMF_VARS_4M.fd --output-json vars.json';
    await toolbox.run([directory], ['sh', '-euc', `cd ${place}\n${words}\n${show}`]);
    const { variables } = JSON.parse(readFileSync(join(place, 'vars.json'), 'utf8')) as {
      variables: { name: string; attr: number; data: string }[];
    };
    const db = variables.find(({ name }) => name === 'db');
    // As efivarfs has it: attributes, then what a firmware keeps.
    const database = Buffer.concat([
      Buffer.from([db?.attr ?? 0, 0, 0, 0]),
      Buffer.from(db?.data ?? '', 'hex'),
    ]);
    const signed = join(directory, 'enrolled.efi');
    const { key, certificate } = keys.db;
    await toolbox.run([directory, RECIPE], [join(RECIPE, 'sign-efi.sh'), key, certificate, LOADER, signed]);
    const starts = async (program: Buffer): Promise<boolean> =>
      (await whyNotStarted(
        async (offset, length) => program.subarray(offset, offset + length),
        program.length,
        { secureBoot: Buffer.from([6, 0, 0, 0, 1]), database, revoked: undefined, shim: undefined },
      )) === undefined;
    expect(await starts(readFileSync(signed))).toBe(true);
    await ensureKeys(join(directory, 'another'), { toolbox, say: () => {} });
    const foreign = join(directory, 'foreign.efi');
    const others = ['key', 'crt'].map((end) => join(directory, 'another', `db.${end}`));
    await toolbox.run([directory, RECIPE], [join(RECIPE, 'sign-efi.sh'), ...others, LOADER, foreign]);
    expect(await starts(readFileSync(foreign))).toBe(false);
  });

  it('that do not belong together sign nothing: it would be the boxes that notice', async () => {
    const [one, other] = [join(directory, 'one'), join(directory, 'other')];
    const keys = await ensureKeys(one, { toolbox, say: () => {} });
    await ensureKeys(other, { toolbox, say: () => {} });
    const anchorsOf = (place: string) =>
      parseCertificates(readFileSync(join(place, 'release-anchors.pem'), 'utf8'));
    const { manifest: made } = makeVersion('1.0.0', { builtAtMs: Date.now() }).target;
    const manifest = Buffer.from(JSON.stringify(made));
    const signs = async (change: Partial<Keys>, place = one): Promise<string> =>
      signUpdateBy(
        await createReleaseSigner({ ...keys, ...change }, toolbox, directory),
        manifest,
        anchorsOf(place),
      );
    expect(await signs({})).toMatch(/^[^.]+\.[^.]+\.[^.]+$/);
    await expect(signs({}, other)).rejects.toThrow(/No box would believe/);
    const foreign = { key: join(other, 'release.key'), certificate: keys.release.certificate };
    await expect(signs({ release: foreign })).rejects.toThrow(/No box would believe/);
    const efi = (key: string) =>
      toolbox.run(
        [directory, RECIPE],
        [join(RECIPE, 'sign-efi.sh'), key, keys.db.certificate, LOADER, join(directory, 'x.efi')],
      );
    await efi(keys.db.key);
    await expect(efi(join(other, 'db.key'))).rejects.toThrow(/key values mismatch/);
  });

  it('that are renewed in their place make another image', async () => {
    const place = join(directory, 'renewed');
    const keys = await ensureKeys(place, { toolbox, say: () => {} });
    const before = certificatesOf(keys);
    for (const name of readdirSync(place)) rmSync(join(place, name));
    await ensureKeys(place, { toolbox, say: () => {} });
    expect(certificatesOf(keys)).not.toEqual(before);
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
  let token: Token;

  beforeAll(async () => {
    const runner = createRunner();
    const tools = await ensureTree(TOOLS_TREE, { runner, say: () => {} });
    directory = mkdtempSync(join(tmpdir(), 'bbt-signing-'));
    token = await keysInToken(directory, '1234', { runner, tools });
    ({ keys } = token);
    toolbox = createToolbox(runner, tools, { SOURCE_DATE_EPOCH: '0', ...signingEnvironment(keys) });
  }, 1_200_000);
  afterAll(() => {
    token.close();
    rmSync(directory, { recursive: true });
  });

  it('sign an update manifest that a box believes', async () => {
    const signer = await createReleaseSigner(keys, toolbox, directory);
    const jws = await signJwsBy(signer, Buffer.from('{}'));
    expect(await believes(keys, jws)).toBe('{}');
  });

  it('sign what firmware starts', async () => {
    await signWhatIsStarted(keys, toolbox, directory);
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
