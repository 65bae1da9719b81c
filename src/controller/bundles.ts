/**
 * Owns app bundles as files: taking one in under a size cap while hashing it, and handing it out by its digest.
 * Does not own who may have one (device/) nor what is in it: the box holds the digest against what it loads.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { mkdir, open, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BranchboxError } from '../model/errors.ts';

export interface StoredBundle {
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Bundles {
  /** Refuses with model/invalid what is empty, too large, or not of the digest that was announced. */
  take(content: Readable, expectedSha256: string | undefined): Promise<StoredBundle>;
  open(sha256: string, range?: { readonly start: number; readonly end: number }): ReadStream;
}

const PARTIAL = '.partial';

export async function openBundles(options: {
  readonly directory: string;
  readonly maxBytes: number;
}): Promise<Bundles> {
  const { directory, maxBytes } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Left behind by a process that was killed while it received.
  for (const name of await readdir(directory)) {
    if (name.endsWith(PARTIAL)) await rm(join(directory, name), { force: true });
  }
  const pathOf = (sha256: string) => join(directory, `${sha256}.tar`);
  let received = 0;
  return {
    async take(content, expectedSha256) {
      received += 1;
      const partial = join(directory, `${process.pid}-${received}${PARTIAL}`);
      const hash = createHash('sha256');
      let sizeBytes = 0;
      const measure = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          sizeBytes += chunk.length;
          if (sizeBytes > maxBytes) return done(refusal(`a bundle has at most ${maxBytes} bytes`));
          hash.update(chunk);
          return done(null, chunk);
        },
      });
      try {
        // Piped, not part of the pipeline: what is too large must still get an answer on its connection.
        content.on('error', (error) => measure.destroy(error));
        content.on('close', () => {
          if (!content.readableEnded) measure.destroy(refusal('the upload was cut short'));
        });
        content.pipe(measure);
        await pipeline(measure, createWriteStream(partial, { mode: 0o600 }));
        const sha256 = hash.digest('hex');
        if (sizeBytes === 0) throw refusal('the bundle is empty');
        if (expectedSha256 !== undefined && expectedSha256 !== sha256) {
          throw refusal(`the bundle's SHA-256 is ${sha256}, not ${expectedSha256}`);
        }
        await syncFile(partial);
        await rename(partial, pathOf(sha256));
        await syncFile(directory);
        return { sha256, sizeBytes };
      } finally {
        await rm(partial, { force: true });
      }
    },
    open: (sha256, range) => createReadStream(pathOf(sha256), range),
  };
}

function refusal(message: string): BranchboxError {
  return new BranchboxError('model/invalid', { message });
}

async function syncFile(path: string): Promise<void> {
  const handle = await open(path, 'r');
  try {
    await handle.sync();
  } finally {
    await handle.close();
  }
}
