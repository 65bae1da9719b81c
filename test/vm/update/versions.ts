/**
 * Owns firmware versions for tests: made of this checkout, signed by the keys that the lab's machine believes, and
 * uploaded to its controller as a network team would.
 */
import { spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, symlink } from 'node:fs/promises';
import { join } from 'node:path';
import { buildDisk } from '../../../image/disk.ts';
import type { Variant } from '../../../image/staging.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import { api, labInfo } from '../../lab/mainjob/fleet.ts';
import { root } from '../../lab/mainjob/lab.ts';

/** How the files of a version's update end. */
export const PART_FILES = ['update.jws', 'root', 'verity', 'efi'] as const;

/** In a directory of its own, since an upload takes a directory with one manifest. Returns it. */
export async function makeVersion(version: string, variant?: Variant): Promise<string> {
  const out = join(root, 'out/vm', version);
  await buildDisk(
    { version, out, ...(variant === undefined ? {} : { variant }) },
    { runner: createRunner(), say: () => undefined },
  );
  return out;
}

/** A version that was made before, by the lab's coming up or by an earlier test: its parts alone in a directory. */
export async function madeBefore(version: string): Promise<string> {
  const places = [join(root, 'out/vm', version), join(root, 'out/image')];
  const names = PART_FILES.map((end) => `branchbox-${version}.${end}`);
  const place = places.find((each) => names.every((name) => existsSync(join(each, name))));
  if (place === undefined) throw new Error(`version ${version} is in none of ${places.join(', ')}`);
  const alone = await mkdtemp(join(root, 'out/vm/alone-'));
  for (const name of names) await symlink(join(place, name), join(alone, name));
  return alone;
}

/** By the command line; from a host on the internet, since only the lab's networks reach its controller. */
export async function upload(directory: string): Promise<string> {
  const { nodes, endpoints, anchors, adminCredential } = await labInfo();
  const netns = nodes.find(({ name }) => name === 'internet-host')?.netns ?? '';
  const access = ['--api', endpoints.api.url, '--ca', anchors.domain, '--credential', adminCredential];
  const words = ['./branchbox', 'fleet', 'firmware', 'upload', directory, ...access];
  const child = spawn('nsenter', [`--net=${netns}`, '--', ...words], {
    cwd: root,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  for (const stream of [child.stdout, child.stderr]) stream.on('data', (chunk: Buffer) => (said += chunk));
  const exitCode = await new Promise<number>((resolve) => child.on('close', (code) => resolve(code ?? 1)));
  if (exitCode !== 0) throw new Error(`the upload of ${directory} ended with ${exitCode}: ${said}`);
  return said;
}

/** Of an earlier run on a lab that was kept; one that is not there is forgotten already. */
export async function forget(version: string): Promise<void> {
  const { status, body } = await api('DELETE', `/api/v1/firmware/${version}`);
  if (status !== 204 && status !== 404) throw new Error(`DELETE firmware: ${status} ${JSON.stringify(body)}`);
}
