/**
 * Owns uploads as files (app bundles, parts of firmware): taking one in under a size cap while hashing it, and handing it out by
 * its digest. Does not own who may have one (deviceApi.ts), which form it must have (`form`) nor its content: the box checks the
 * digest of what it loads.
 */
import { createHash } from 'node:crypto';
import { createReadStream, createWriteStream, type ReadStream } from 'node:fs';
import { mkdir, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { type Readable, Transform } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { BranchboxError } from '../model/errors.ts';
import { syncPath } from '../system/syncPath.ts';

export interface StoredBlob {
  readonly sha256: string;
  readonly sizeBytes: number;
}

export interface Blobs {
  /**
   * Refuses with model/invalid what is empty, too large (`httpStatus` 413), not of the digest that was announced, or of
   * another form.
   * Nothing is read of what is too large by what was said before (`announcedBytes`; 0 where nothing was).
   */
  take(
    content: Readable,
    expected: {
      readonly sha256?: string | undefined;
      readonly maxBytes?: number;
      readonly announcedBytes: number;
    },
  ): Promise<StoredBlob>;
  open(sha256: string, range?: { readonly start: number; readonly end: number }): ReadStream;
  remove(sha256: string): Promise<void>;
}

const PARTIAL = '.partial';

export async function openBlobs(options: {
  readonly directory: string;
  /** Of each, where its taker names none. */
  readonly maxBytes: number;
  /** With its dot. */
  readonly suffix: string;
  /** What one is called in a refusal. */
  readonly what: string;
  /** Where that can be seen: why a file can be none, and how one is made. */
  readonly form?: { whyNone(path: string): Promise<string | undefined>; readonly mend: string };
}): Promise<Blobs> {
  const { directory, suffix, what, form } = options;
  await mkdir(directory, { recursive: true, mode: 0o700 });
  // Left behind by a process that was killed while it received.
  for (const name of await readdir(directory)) {
    if (name.endsWith(PARTIAL)) await rm(join(directory, name), { force: true });
  }
  const pathOf = (sha256: string) => join(directory, `${sha256}${suffix}`);
  let received = 0;
  return {
    async take(content, { sha256: expectedSha256, maxBytes = options.maxBytes, announcedBytes }) {
      const tooLarge = () => refusal(`${what} has at most ${maxBytes} bytes`, 413);
      if (announcedBytes > maxBytes) throw tooLarge();
      received += 1;
      const partial = join(directory, `${process.pid}-${received}${PARTIAL}`);
      const hash = createHash('sha256');
      let sizeBytes = 0;
      const measure = new Transform({
        transform(chunk: Buffer, _encoding, done) {
          sizeBytes += chunk.length;
          if (sizeBytes > maxBytes) return done(tooLarge());
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
        if (sizeBytes === 0) throw refusal(`${what} is empty`);
        if (expectedSha256 !== undefined && expectedSha256 !== sha256) {
          throw refusal(`${what} has SHA-256 ${sha256}, not ${expectedSha256}`);
        }
        const why = await form?.whyNone(partial);
        if (form !== undefined && why !== undefined) {
          throw refusal(`${what} is of another form: ${why}`, 400, form.mend);
        }
        await syncPath(partial);
        await rename(partial, pathOf(sha256));
        await syncPath(directory);
        return { sha256, sizeBytes };
      } finally {
        await rm(partial, { force: true });
      }
    },
    open: (sha256, range) => createReadStream(pathOf(sha256), range),
    remove: (sha256) => rm(pathOf(sha256), { force: true }),
  };
}

function refusal(message: string, httpStatus = 400, mend?: string): BranchboxError {
  return new BranchboxError('model/invalid', {
    message,
    ...(mend === undefined ? {} : { mend }),
    fields: { httpStatus },
  });
}
