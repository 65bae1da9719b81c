/**
 * Owns the quick stage: one version of the image out of what is there already: slot, signed kernel, disk, the update's
 * manifest. Does not own the slow stage (ingredients.ts) nor what is published beside it (publish.ts).
 */
import { copyFile, mkdir, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { decode } from '../src/model/decode.ts';
import { FirmwareVersion } from '../src/model/firmware.ts';
import { parseCertificates } from '../src/pki/certificate.ts';
import { describe } from './artefact.ts';
import { type Ingredients, script } from './ingredients.ts';
import { certificatesOf, type Keys, signingEnvironment } from './keys.ts';
import { madeBefore, noteMade } from './madeBefore.ts';
import { renderUpdateManifest } from './manifest.ts';
import { createReleaseSigner, signedAtMs, signUpdateBy } from './signing.ts';
import { digestOf, stage, type Variant } from './staging.ts';
import { createToolbox } from './toolbox.ts';
import type { Making } from './trees.ts';

export interface AssembleOptions {
  readonly version: string;
  readonly variant?: Variant;
  readonly ingredients: Ingredients;
  readonly keys: Keys;
  /** Holds what is made: branchbox-VERSION.raw, .root, .verity, .efi, .update.jws. */
  readonly out: string;
  /** Seconds since 1970: the time of everything in it. */
  readonly sourceDateEpoch: number;
}

export interface Assembled {
  readonly version: string;
  readonly raw: string;
  readonly root: string;
  readonly verity: string;
  readonly uki: string;
  /** The signed manifest of the three before. */
  readonly update: string;
  /** 64 hexadecimal digits. */
  readonly rootHash: string;
  readonly bundleBytes: number;
  /** Directories below the checkout. */
  readonly npmPackages: readonly string[];
}

const CHECKOUT = join(import.meta.dirname, '..');
/** Of all that is published; written last (publish.ts). */
export const CHECKSUMS = ['SHA256SUMS', 'SHA256SUMS.sig'] as const;
export const FIRMWARE_ROOT = join(CHECKOUT, 'firmware/root');

/** What is said to every kernel. The root hash makes the command line that of one root alone. Pure. */
export const commandLine = (rootHash: string, variant?: Variant): string =>
  [
    `roothash=${rootHash}`,
    'ro',
    // Where a power cut tore the first copy of the partition table, the second one counts (block/partitions/efi.c).
    'gpt',
    // A kernel that panics restarts, so that the boot loader's counting can go back.
    'panic=10',
    'console=tty0',
    'console=ttyS0,115200',
    // From the board where it has one; the root is the same for every box.
    'systemd.machine_id=firmware',
    ...(variant === 'no-network' ? ['module_blacklist=virtio_net'] : []),
  ].join(' ');

/** What was made of the same inputs before, and is whole, is taken as it is. */
export async function assemble(options: AssembleOptions, { runner, say }: Making): Promise<Assembled> {
  const { version, variant, ingredients, keys, out, sourceDateEpoch } = options;
  decode(FirmwareVersion, version, 'The version');
  const { tree } = ingredients;
  const toolbox = createToolbox(runner, ingredients.toolbox.tree, {
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    ...signingEnvironment(keys),
  });
  const work = join(out, `work-${version}`);
  const slot = join(work, 'slot');
  const staged = join(work, 'staged');
  await rm(work, { recursive: true, force: true });
  await mkdir(slot, { recursive: true });
  const step = (name: string, ...words: readonly string[]): Promise<string> =>
    toolbox.run([tree, CHECKOUT, out, keys.directory], script(name, ...words));
  const startMs = performance.now();
  const done = (what: string): void =>
    say(`${version}: ${what} after ${((performance.now() - startMs) / 1000).toFixed(1)} s`);

  const bundled = await stage(staged, ingredients, keys, variant);
  const named = (extension: string): string => join(out, `branchbox-${version}.${extension}`);
  const record = named('inputs');
  const inputs = await digestOf(
    [join(staged, 'payload'), join(staged, 'units'), FIRMWARE_ROOT, import.meta.dirname],
    [version, variant ?? '', tree, ingredients.initrd, String(sourceDateEpoch), ...certificatesOf(keys)],
  );
  const made = {
    version,
    raw: named('raw'),
    root: named('root'),
    verity: named('verity'),
    uki: named('efi'),
    update: named('update.jws'),
    bundleBytes: bundled.sizeBytes,
    npmPackages: bundled.npmPackages,
  };
  const parts = [made.raw, made.root, made.verity, made.uki, made.update];
  const hashBefore = await madeBefore(record, inputs, parts);
  if (hashBefore !== undefined) {
    await rm(work, { recursive: true });
    done('unchanged');
    return { ...made, rootHash: hashBefore };
  }
  // Checksums of another build would vouch for what is made now, and fail.
  for (const stale of [record, ...CHECKSUMS.map((name) => join(out, name))]) await rm(stale, { force: true });

  await step('make-slot.sh', join(tree, 'root'), version, staged, FIRMWARE_ROOT, slot);
  const rootHash = (await readFile(join(slot, 'roothash'), 'utf8')).trim();
  done('root and its hashes');
  // Beside the checkout, a step sees the output directory and the tree alone.
  const initrds = [join(work, 'initrd')];
  await copyFile(ingredients.initrd, join(work, 'initrd'));
  if (variant === 'panics') {
    initrds.push(join(work, 'panic'));
    await step('make-panic.sh', join(work, 'panic'));
  }
  const uki = join(work, 'uki.efi');
  const dbKey = [keys.db.key, keys.db.certificate];
  await step('make-uki.sh', tree, version, commandLine(rootHash, variant), ...dbKey, uki, ...initrds);
  const disk = join(work, 'disk.raw');
  await step('make-disk.sh', join(import.meta.dirname, 'repart.d'), slot, uki, version, ...dbKey, disk);
  done('disk');

  await rename(join(slot, 'root'), made.root);
  await rename(join(slot, 'verity'), made.verity);
  await rename(uki, made.uki);
  await rename(disk, made.raw);
  const signer = await createReleaseSigner(keys, toolbox, work);
  const anchors = parseCertificates(await readFile(keys.releaseAnchors, 'utf8'));
  const builtAtMs = signedAtMs(sourceDateEpoch * 1000, signer.certificates, anchors);
  const manifest = renderUpdateManifest(
    { version, builtAtMs, rootHash },
    {
      root: await describe(made.root),
      verity: await describe(made.verity),
      uki: await describe(made.uki),
    },
  );
  await writeFile(made.update, await signUpdateBy(signer, manifest, anchors));
  await rm(work, { recursive: true });
  await noteMade(record, { inputs, rootHash }, parts);
  done('update manifest');
  return { ...made, rootHash };
}
