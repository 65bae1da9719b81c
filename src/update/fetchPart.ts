/**
 * Owns bringing one part to its place: it goes on from what is durable there, hashes and counts what comes, and notes
 * it as durable only once it is.
 * Does not own where it comes from (sources) nor what happens around it (install.ts).
 */
import { createHash, type Hash } from 'node:crypto';
import { BranchboxError } from '../model/errors.ts';
import type { FirmwarePart } from '../model/firmware.ts';
import type { Pace, PartFile, PartSource } from './ports.ts';

export interface WriteSizes {
  /** Written at once: many of a flash's erase blocks, few enough bytes to hold. */
  readonly writeBytes: number;
  /** Between two syncs: what a cut costs to fetch again. */
  readonly syncBytes: number;
}
export const WRITE_SIZES: WriteSizes = { writeBytes: 1024 * 1024, syncBytes: 8 * 1024 * 1024 };

export interface FetchParts {
  readonly part: FirmwarePart;
  readonly to: PartFile;
  readonly source: PartSource;
  readonly durableBytes: number;
  /** Called after a sync. */
  readonly onDurable: (bytes: number) => Promise<void>;
  readonly pace: Pace;
  /** Where there is a rate: so much is asked for at once (pace.ts). */
  readonly pieceBytes?: number | undefined;
  readonly sizes: WriteSizes;
  readonly signal: AbortSignal;
}

/**
 * Resolves when all of it is durable and of its digest. Throws `firmware/source`, told by `isWrong`, where what came is
 * not what was named: nothing of it counts as durable then. `firmware/disk`, told by `isSpoiled`, where what was durable before is
 * not to be believed: it has to begin anew.
 */
export async function fetchPart(fetch: FetchParts): Promise<void> {
  const { part, to, source, pace, sizes, signal, onDurable } = fetch;
  const hash = createHash('sha256');
  let doneBytes = fetch.durableBytes;
  await hashFrom(to, doneBytes, hash).catch((thrown: unknown) => {
    throw spoiledBy(thrown, `what stood of ${part.file}`);
  });
  let held: Uint8Array[] = [];
  let heldBytes = 0;
  let unsynced = 0;
  const flush = async (): Promise<void> => {
    if (heldBytes === 0) return;
    await to.write(doneBytes, Buffer.concat(held, heldBytes));
    doneBytes += heldBytes;
    unsynced += heldBytes;
    [held, heldBytes] = [[], 0];
  };
  const settle = async (): Promise<void> => {
    await flush();
    await to.sync();
    unsynced = 0;
    await onDurable(doneBytes);
  };
  try {
    if (doneBytes < part.sizeBytes) {
      const { skipBytes, chunks } = await source.open(part, doneBytes, signal, fetch.pieceBytes);
      let skip = skipBytes;
      for await (const come of chunks) {
        signal.throwIfAborted();
        const chunk = come.subarray(Math.min(skip, come.length));
        skip -= come.length - chunk.length;
        if (doneBytes + heldBytes + chunk.length > part.sizeBytes) {
          throw wrong(`${part.file} from ${source.name} is larger than ${part.sizeBytes} bytes`);
        }
        hash.update(chunk);
        held.push(chunk);
        heldBytes += chunk.length;
        if (heldBytes >= sizes.writeBytes) await flush();
        if (unsynced >= sizes.syncBytes) await settle();
        await pace(come.length, signal);
      }
    }
  } catch (thrown) {
    // That says nothing about what was on the disk before.
    if (isWrong(thrown)) await onDurable(fetch.durableBytes);
    // What came before the line went dead is good. A sync that failed is not asked again: it would say yes to what is lost.
    else if (!isDiskError(thrown)) await settle().catch(() => undefined);
    throw thrown;
  }
  if (doneBytes + heldBytes < part.sizeBytes) {
    await settle();
    throw new BranchboxError('firmware/source', {
      message: `${part.file} from ${source.name} ended after ${doneBytes} of ${part.sizeBytes} bytes`,
    });
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== part.sha256) {
    // Either what was on the disk or what came is wrong: only starting over tells which.
    if (fetch.durableBytes > 0) {
      throw spoiled(
        `the ${fetch.durableBytes} bytes that stood of ${part.file}, with the rest from ${source.name}, have SHA-256 ${sha256}, not ${part.sha256}`,
      );
    }
    await onDurable(0);
    throw wrong(`${part.file} from ${source.name} has SHA-256 ${sha256}, not ${part.sha256}`);
  }
  await settle();
}

const READ_BYTES = 1024 * 1024;

/** The first `bytes` of it, into the hash. */
export async function hashFrom(from: Pick<PartFile, 'read'>, bytes: number, hash: Hash): Promise<void> {
  for (let offset = 0; offset < bytes; ) {
    const read = await from.read(offset, Math.min(READ_BYTES, bytes - offset));
    if (read.length === 0) {
      throw new BranchboxError('firmware/disk', { message: `a part ends after ${offset} of ${bytes} bytes` });
    }
    hash.update(read);
    offset += read.length;
  }
}

/** Said by a field, since the sentence is for people. */
export const wrong = (message: string): BranchboxError =>
  new BranchboxError('firmware/source', {
    message,
    fields: { wrong: true },
    mend: 'What came was put aside. Upload the version again, or copy it to the stick again.',
  });

/** Of what its source itself says of it, before a byte is fetched: asked again it would be the same. */
export function holdToSize({ file, sizeBytes }: FirmwarePart, source: string, saidBytes: number): void {
  if (saidBytes === sizeBytes) return;
  const how = saidBytes > sizeBytes ? 'larger' : 'shorter';
  throw wrong(`${file} from ${source} is ${how} than ${sizeBytes} bytes: ${saidBytes}`);
}

/** What came is not what the manifest names: as against a line that went dead. */
export const isWrong = (thrown: unknown): boolean =>
  thrown instanceof BranchboxError && thrown.fields['wrong'] === true;

/** Bytes that were written and are not read back. */
export const spoiled = (message: string, cause?: unknown): BranchboxError =>
  new BranchboxError('firmware/disk', {
    message,
    fields: { spoiled: true },
    ...(cause === undefined ? {} : { cause }),
  });

/** Where a disk threw it; anything else as it is. */
export const spoiledBy = (thrown: unknown, what: string): unknown =>
  isDiskError(thrown) ? spoiled(`${what} cannot be read back: ${thrown.message}`, thrown) : thrown;

export const isSpoiled = (thrown: unknown): thrown is BranchboxError =>
  thrown instanceof BranchboxError && thrown.fields['spoiled'] === true;

export const isDiskError = (thrown: unknown): thrown is BranchboxError =>
  thrown instanceof BranchboxError && thrown.code === 'firmware/disk';
