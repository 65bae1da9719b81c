/**
 * Owns what is published of an assembled version: downloads, package, checksums, inventory; in the output directory
 * beside the disk. Does not own the disk (assemble.ts) nor what the texts say (manifest.ts, sbom.ts).
 */
import { readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe } from './artefact.ts';
import { CHECKSUMS } from './assemble.ts';
import type { Disk } from './disk.ts';
import { readInventory } from './inventory.ts';
import { signingEnvironment } from './keys.ts';
import { renderManifest, renderSizes, renderSums } from './manifest.ts';
import { renderSbom } from './sbom.ts';
import { makePackage } from './package.ts';
import { makeQcow2 } from './qcow2.ts';
import { createReleaseSigner } from './signing.ts';
import { measureParts } from './sizes.ts';
import { createToolbox } from './toolbox.ts';
import type { Making } from './trees.ts';

const COMPRESSION_LEVEL = 19;
/** Minutes of two cores; on a busy machine many. */
const PACKING_TIMEOUT_MS = 60 * 60_000;

export async function publish(disk: Disk, { runner, say }: Making): Promise<void> {
  const { made, ingredients, keys, out, sourceDateEpoch } = disk;
  const toolbox = createToolbox(runner, ingredients.toolbox.tree, {
    SOURCE_DATE_EPOCH: String(sourceDateEpoch),
    ...signingEnvironment(keys),
  });
  const named = (suffix: string): string => join(out, `branchbox-${made.version}${suffix}`);
  const facts = {
    version: made.version,
    builtAtMs: sourceDateEpoch * 1000,
    rootHash: made.rootHash,
    kernel: ingredients.kernelVersion,
  };
  // Before what takes long: a licence that nobody knows ends the build.
  const components = readInventory(ingredients.tree, made.npmPackages);
  say(`${made.version}: packing`);
  const zst = named('.raw.zst');
  const zstd = ['zstd', '-q', '-f', '-T2', '--long=27', `-${COMPRESSION_LEVEL}`, '-o', zst, made.raw];
  await toolbox.run([out], zstd, PACKING_TIMEOUT_MS);
  const qcow2 = named('.qcow2');
  await makeQcow2(made.raw, qcow2, toolbox);
  const deb = await makePackage(disk, { runner, say });

  const sbom = named('.cdx.json');
  await writeFile(sbom, renderSbom({ ...facts, components }));
  const files = [made.root, made.verity, made.uki, made.update, zst, qcow2, deb, sbom];
  const artefacts = await Promise.all(files.map(describe));
  const sizes = await measureParts(ingredients, made);
  const manifest = join(out, 'manifest.json');
  await writeFile(manifest, renderManifest(facts, artefacts, sizes, components));

  // The disk too: it is what is left once a download is unpacked, and what a cloud imports.
  const sums = renderSums([...artefacts, await describe(made.raw), await describe(manifest)]);
  const [sumsName, signatureName] = CHECKSUMS;
  await writeFile(join(out, sumsName), sums);
  const signer = await createReleaseSigner(keys, toolbox, out);
  await writeFile(join(out, signatureName), await signer.sign(Buffer.from(sums)));
  // Not as files of keys are: these are for everybody.
  await writeFile(join(out, 'release.crt'), await readFile(keys.release.certificate));
  await writeFile(join(out, 'release-anchors.pem'), await readFile(keys.releaseAnchors));
  say(renderSizes(sizes, artefacts));
}
