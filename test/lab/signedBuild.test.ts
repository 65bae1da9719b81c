/**
 * All that `npm run image` signs, by keys that are in a token alone: the same code from the payload to the checksums, on
 * small stand-ins for what comes of Debian's packages. Each signature is verified by the public halves.
 */
import { mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type Assembled, assemble } from '../../image/assemble.ts';
import { compareBuilds } from '../../image/compareBuilds.ts';
import type { Ingredients } from '../../image/ingredients.ts';
import type { Keys } from '../../image/keys.ts';
import { publish } from '../../image/publish.ts';
import { createToolbox, type Toolbox } from '../../image/toolbox.ts';
import { ensureTree, TOOLS_TREE } from '../../image/trees.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { createRunner } from '../../src/system/linux/runner.ts';
import type { Runner } from '../../src/system/ports.ts';
import { verifyManifest } from '../../src/update/manifest.ts';
import { keysInToken, type Token } from './softhsm.ts';

const LOADER = '/usr/lib/systemd/boot/efi/systemd-bootx64.efi';
const VERSION = '1.2.3';
const SOURCE_DATE_EPOCH = 1_750_000_000;
/** Unlike anything else in words, output and files. */
const PIN = '7359-pin-of-the-token-2846';

/** What finish-tree.sh, make-initrd.sh and npm give, as small as the recipe takes it. */
async function standIns(directory: string, toolbox: Toolbox): Promise<Ingredients> {
  const tree = join(directory, 'tree');
  const root = join(tree, 'root');
  for (const place of ['etc/frr', 'etc/systemd/system', 'usr/bin', 'usr/lib/systemd/system', 'var/lib'])
    mkdirSync(join(root, place), { recursive: true });
  mkdirSync(join(root, 'usr/share/doc/frr'), { recursive: true });
  writeFileSync(join(root, 'usr/share/doc/frr/copyright'), 'License: GPL-2+\n');
  writeFileSync(join(root, 'usr/lib/os-release'), 'ID=debian\n');
  writeFileSync(join(tree, 'packages.tsv'), 'frr\t10.3-3\tfrr\t10.3-3\tamd64\n');
  writeFileSync(join(tree, 'kernel-version'), '6.12.0-amd64\n');
  writeFileSync(join(tree, 'microcode'), 'microcode');
  const [initrd, node] = [join(directory, 'initrd'), join(directory, 'node')];
  writeFileSync(initrd, 'initrd');
  writeFileSync(node, 'node');
  // Some program that firmware starts.
  await toolbox.run([directory], ['cp', LOADER, join(tree, 'vmlinuz')]);
  return { toolbox, tree, kernelVersion: '6.12.0-amd64', initrd, node };
}

describe('a build with keys behind PKCS#11', () => {
  let directory: string;
  let out: string;
  let token: Token;
  let keys: Keys;
  let made: Assembled;
  let toolbox: Toolbox;
  let build: (place: string) => Promise<Assembled>;
  /** Every word that the build ran, and every line that it said. */
  const seen: string[] = [];

  beforeAll(async () => {
    const real = createRunner();
    const runner: Runner = {
      ...real,
      async runChecked(command, args, options) {
        const said = await real.runChecked(command, args, options);
        seen.push(command, ...args, said);
        return said;
      },
    };
    const say = (line: string): void => void seen.push(line);
    const tools = await ensureTree(TOOLS_TREE, { runner: real, say: () => {} });
    directory = mkdtempSync(join(tmpdir(), 'bbt-signed-'));
    const place = join(directory, 'keys');
    mkdirSync(place);
    token = await keysInToken(place, PIN, { runner: real, tools });
    ({ keys } = token);
    toolbox = createToolbox(runner, tools);
    const ingredients = await standIns(directory, toolbox);
    build = async (place) => {
      mkdirSync(place);
      const shared = { ingredients, keys, out: place, sourceDateEpoch: SOURCE_DATE_EPOCH };
      const assembled = await assemble({ version: VERSION, ...shared }, { runner, say });
      await publish({ made: assembled, ...shared }, { runner, say });
      return assembled;
    };
    out = join(directory, 'out');
    made = await build(out);
  }, 1_200_000);
  afterAll(() => {
    token.close();
    rmSync(directory, { recursive: true });
  });

  const inOut = (...words: string[]): Promise<string> =>
    toolbox.run([out, keys.directory], ['sh', '-euc', `cd ${out}; ${words.join('; ')}`]);

  it('has no private key but in the token', () => {
    expect([keys.db.key, keys.release.key].every((key) => key.startsWith('pkcs11:'))).toBe(true);
    expect(readdirSync(keys.directory).filter((name) => name.endsWith('.key'))).toEqual([]);
  });

  it('signs the kernel image and both copies of the loader for the firmware', async () => {
    const { partitiontable } = JSON.parse(await inOut(`sfdisk --json ${made.raw}`)) as {
      partitiontable: { sectorsize: number; partitions: { start: number }[] };
    };
    const offset = (partitiontable.partitions[0]?.start ?? 0) * partitiontable.sectorsize;
    const entry = `EFI/Linux/branchbox_${VERSION}.efi`;
    for (const path of ['EFI/BOOT/BOOTX64.EFI', 'EFI/systemd/systemd-bootx64.efi', entry]) {
      await inOut(
        `mcopy -o -i ${made.raw}@@${offset} ::${path} /tmp/program`,
        `cp /tmp/program ${out}/program`,
      );
      expect(await inOut(`sbverify --cert ${keys.db.certificate} program`)).toMatch(/verification OK/);
      if (path === entry) await inOut(`cmp program ${made.uki}`);
    }
    rmSync(join(out, 'program'));
    await expect(inOut(`sbverify --cert ${keys.release.certificate} ${made.uki}`)).rejects.toThrow(/fail/i);
  });

  it('signs the update’s manifest as a box believes it', async () => {
    const anchors = parseCertificates(readFileSync(keys.releaseAnchors, 'utf8'));
    const { manifest } = await verifyManifest(readFileSync(made.update, 'utf8'), { anchors, arch: 'x86-64' });
    expect(manifest).toMatchObject({ version: VERSION, rootHash: made.rootHash });
  });

  it('signs the checksums, which the words of the docs verify', async () => {
    const docs = readFileSync(join(import.meta.dirname, '../../docs/image.md'), 'utf8');
    const words = /^```\n(openssl verify .*?)```/ms.exec(docs)?.[1];
    if (words === undefined) throw new Error('docs/image.md has no words for verifying');
    const said = await inOut(words);
    expect(said).toMatch(/^release\.crt: OK$/m);
    expect(said).toMatch(/^Verified OK$/m);
    for (const name of ['manifest.json', `branchbox-${VERSION}.raw.zst`, `branchbox-${VERSION}.update.jws`])
      expect(said).toContain(`${name}: OK\n`);
    // Of these checksums alone.
    await expect(
      inOut(
        'sed s/^./x/ SHA256SUMS >/tmp/other',
        'openssl dgst -sha256 -verify release.pub -signature SHA256SUMS.sig /tmp/other',
      ),
    ).rejects.toThrow(/signature failure/);
  });

  it('gives the same twice but for signatures, in another place too; a byte that differs is told', async () => {
    const other = join(directory, 'other');
    await build(other);
    rmSync(join(out, 'release.pub'), { force: true });
    const lines = await compareBuilds(VERSION, out, other, toolbox);
    const names = lines.map((line) => line.split(/[ ,]+/)[1]);
    const published = readdirSync(out).filter((name) => !name.endsWith('.inputs'));
    expect(names).toHaveLength(published.length);
    expect(names).toEqual(expect.arrayContaining(published));
    expect(lines.filter((line) => !line.startsWith('same '))).toEqual([]);
    // Not to the byte: a token signs by another random number each time.
    expect(lines.filter((line) => line.includes(', but for '))).toHaveLength(4);

    writeFileSync(join(other, `branchbox-${VERSION}.cdx.json`), '{}');
    const differing = await compareBuilds(VERSION, out, other, toolbox);
    expect(differing.filter((line) => !line.startsWith('same '))).toEqual([
      `differs branchbox-${VERSION}.cdx.json`,
    ]);
  }, 600_000);

  it('shows the PIN in no word of a command, no line and nothing that it publishes', async () => {
    expect(seen.some((text) => text.includes('pin-source='))).toBe(true);
    expect(seen.filter((text) => text.includes(PIN))).toEqual([]);
    expect(await inOut(`grep -rlF -e ${PIN.slice(0, 8)} . || :`)).toBe('');
  });
});
