/**
 * Owns fetching an app's archive from the controller: hashed and counted while it comes, so that no byte above its size
 * and no file of another digest is ever kept.
 * Does not own the connection (system/deviceClient) nor what is done with the archive (images).
 */
import { createHash } from 'node:crypto';
import { open, mkdir, readdir, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { bundlePath } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
import { type DeviceClient, deviceUnreachable } from '../system/deviceClient.ts';
import type { Bundles } from './images.ts';

export interface BundleStoreOptions {
  /** Ours alone: whatever lies in it at the first fetch is a leftover, and goes. */
  readonly directory: string;
  readonly device: DeviceClient;
}

export function createBundleStore(options: BundleStoreOptions): Bundles {
  const { directory, device } = options;
  let cleared: Promise<void> | undefined;
  let fetched = 0;

  return {
    async fetch(sha256, sizeBytes, signal) {
      cleared ??= clear(directory).catch((thrown: unknown) => {
        // The next fetch tries again: by then the disk may have room.
        cleared = undefined;
        throw thrown;
      });
      await cleared;
      fetched += 1;
      const path = join(directory, `${sha256.slice(0, 16)}-${fetched}.tar`);
      const answer = await device.get(bundlePath(sha256), { signal });
      try {
        if (answer.statusCode !== 200) {
          throw new BranchboxError('engine/image', {
            message: `the controller answered ${answer.statusCode ?? 0} for bundle ${sha256}`,
            ...(answer.statusCode === 404 ? { mend: 'Upload the archive again.' } : {}),
          });
        }
        await keep(answer, path, { sha256, sizeBytes });
        return path;
      } catch (thrown) {
        await rm(path, { force: true });
        throw thrown instanceof BranchboxError ? thrown : deviceUnreachable('the bundle', thrown);
      } finally {
        answer.destroy();
      }
    },
    discard: (path) => rm(path, { force: true }),
  };
}

/** Leftovers of a process that was killed while it fetched. */
async function clear(directory: string): Promise<void> {
  await mkdir(directory, { recursive: true, mode: 0o700 });
  for (const name of await readdir(directory)) await rm(join(directory, name), { force: true });
}

/** Writes what comes, as long as it is no more than announced; then holds it against its digest. */
export async function keep(
  content: AsyncIterable<Uint8Array>,
  path: string,
  expected: { readonly sha256: string; readonly sizeBytes: number },
): Promise<void> {
  const hash = createHash('sha256');
  let sizeBytes = 0;
  const file = await open(path, 'wx', 0o600);
  try {
    for await (const chunk of content) {
      sizeBytes += chunk.length;
      if (sizeBytes > expected.sizeBytes) throw wrong(`is larger than ${expected.sizeBytes} bytes`);
      hash.update(chunk);
      await file.writeFile(chunk);
    }
  } finally {
    await file.close();
  }
  if (sizeBytes < expected.sizeBytes) throw wrong(`ended after ${sizeBytes} of ${expected.sizeBytes} bytes`);
  const sha256 = hash.digest('hex');
  if (sha256 !== expected.sha256) throw wrong(`has SHA-256 ${sha256}, not ${expected.sha256}`);
}

const wrong = (what: string): BranchboxError =>
  new BranchboxError('engine/image', {
    message: `the bundle that the controller sent ${what}`,
  });
