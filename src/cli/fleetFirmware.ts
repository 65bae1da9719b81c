/**
 * Owns the words of `branchbox fleet firmware`: versions that a controller offers its boxes.
 * Which gateway is to run which version is said in the fleet's file (`firmware`), not here.
 */
import { readdir } from 'node:fs/promises';
import { basename, dirname, join } from 'node:path';
import type { Command } from 'commander';
import { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';
import {
  ACCESS_EXAMPLE,
  callApi,
  printAnswer,
  readInput,
  type Readout,
  tellSent,
  unreadable,
  withReadout,
} from './controllerApi.ts';
import { renderTable } from './table.ts';
import { print } from './terminal.ts';

const MANIFEST_SUFFIX = '.update.jws';

/** As far as it is needed here; the controller decodes. */
const Offered = z.object({
  version: z.string(),
  rootHash: z.string(),
  parts: z.array(z.object({ role: z.string(), file: z.string(), sizeBytes: z.number(), sha256: z.string() })),
  missing: z.array(z.string()),
});

export function registerFirmware(fleet: Command): void {
  const firmware = fleet
    .command('firmware')
    .description('firmware versions that the controller offers its boxes')
    .addHelpText('after', `\nexample: branchbox fleet firmware list ${ACCESS_EXAMPLE}`);

  withReadout(firmware.command('upload <release>'))
    .description(
      'uploads a signed manifest (a *.update.jws, or a directory with one) and the parts beside it that the controller does not have yet',
    )
    .addHelpText('after', `\nexample: branchbox fleet firmware upload out/image ${ACCESS_EXAMPLE}`)
    .action(async (release: string, flags: Readout) => {
      const { directory, name } = await findManifest(release);
      const manifest = await readInput(join(directory, name));
      const call = {
        method: 'POST',
        path: '/api/v1/firmware',
        mediaType: 'application/jose',
        body: manifest.trim(),
      } as const;
      const offered = Offered.parse(JSON.parse(await callApi(flags, call)));
      const { version, parts, missing } = offered;
      for (const { sha256, file } of parts) {
        if (!missing.includes(sha256)) continue;
        await callApi(flags, {
          method: 'POST',
          path: `/api/v1/firmware/parts?sha256=${sha256}`,
          mediaType: 'application/octet-stream',
          file: join(directory, file),
          onTenth: tellSent(file),
        });
      }
      const words = `firmware ${version} can be had; name it in the fleet: firmware = { version = "${version}" }`;
      printAnswer(flags, JSON.stringify({ ...offered, missing: [] }), words);
    });
  withReadout(firmware.command('list'))
    .description('prints the versions that are there')
    .addHelpText('after', `\nexample: branchbox fleet firmware list ${ACCESS_EXAMPLE}`)
    .action(async (flags: Readout) => {
      const text = await callApi(flags, { method: 'GET', path: '/api/v1/firmware' });
      if (flags.json === true) return void print(text);
      const rows = z
        .array(Offered)
        .parse(JSON.parse(text))
        .map(({ version, rootHash, missing }) => [
          version,
          `${rootHash.slice(0, 16)}…`,
          missing.length === 0 ? 'whole' : `${missing.length} parts are missing`,
        ]);
      print(renderTable(['version', 'root hash', 'parts'], rows).join('\n') || 'none');
    });
  withReadout(firmware.command('remove <version>'))
    .description('forgets a version that no gateway is to run')
    .addHelpText('after', `\nexample: branchbox fleet firmware remove 0.1.0 ${ACCESS_EXAMPLE}`)
    .action(async (version: string, flags: Readout) => {
      const path = `/api/v1/firmware/${encodeURIComponent(version)}`;
      const text = await callApi(flags, { method: 'DELETE', path });
      printAnswer(flags, text, `firmware ${version} is forgotten`);
    });
}

/** A directory may hold several versions, as one that images are built into does: then the manifest itself is named. */
export async function findManifest(
  release: string,
): Promise<{ readonly directory: string; readonly name: string }> {
  if (release.endsWith(MANIFEST_SUFFIX)) return { directory: dirname(release), name: basename(release) };
  const names = await readdir(release).catch((cause: unknown) => {
    throw unreadable(release, cause, `name a *${MANIFEST_SUFFIX}, or a directory with one and its parts`);
  });
  const found = names.filter((one) => one.endsWith(MANIFEST_SUFFIX)).toSorted();
  const [name, ...more] = found;
  if (name !== undefined && more.length === 0) return { directory: release, name };
  throw new BranchboxError('system/file', {
    message: `${release} holds ${name === undefined ? 'no' : found.length} *${MANIFEST_SUFFIX}`,
    mend:
      name === undefined
        ? 'Name a directory with a manifest and its parts.'
        : `Name one of them: ${found.map((one) => join(release, one)).join(', ')}`,
  });
}
