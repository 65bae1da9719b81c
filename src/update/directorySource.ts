/**
 * Owns taking a firmware version from a directory that somebody mounted (a stick): its one manifest, and its parts.
 * Hostile until the digest is right: no link is followed, and no more is read than a manifest names.
 * Does not own mounting it (stick.ts).
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import { type FirmwarePart, MANIFEST_MAX_BYTES } from '../model/firmware.ts';
import { holdToSize, wrong } from './fetchPart.ts';
import type { PartSource } from './ports.ts';

const MANIFEST_SUFFIX = '.update.jws';
/** A stick holds some versions, not a library. */
const MAX_NAMES = 10_000;
const READ_BYTES = 256 * 1024;

export interface FirmwareDirectory {
  readonly manifest: string;
  readonly source: PartSource;
}

/** Throws `firmware/source` where it does not hold exactly one manifest. */
export async function openDirectory(directory: string): Promise<FirmwareDirectory> {
  const names: string[] = [];
  try {
    for await (const { name } of await opendir(directory)) {
      names.push(name);
      if (names.length === MAX_NAMES) break;
    }
  } catch (cause) {
    throw missing(`${directory} cannot be read`, cause);
  }
  const [name, ...more] = names.filter((one) => one.endsWith(MANIFEST_SUFFIX) && !one.startsWith('.'));
  if (name === undefined) throw missing(`${directory} holds no *${MANIFEST_SUFFIX}`);
  if (more.length > 0)
    throw missing(`${directory} holds ${more.length + 1} manifests: leave one of them there`);
  const chunks: Uint8Array[] = [];
  const handle = await openPlain(join(directory, name));
  try {
    // A stick that was pulled out before all was on it often has the name alone.
    const { size } = await handle.stat();
    if (size === 0 || size > MANIFEST_MAX_BYTES) {
      const how =
        size === 0 ? 'is empty' : `has ${size} bytes, where a manifest has ${MANIFEST_MAX_BYTES} at most`;
      throw missing(`${name} in ${directory} ${how}: copy the version there again`);
    }
    for await (const chunk of bytesFrom(handle, 0, MANIFEST_MAX_BYTES)) chunks.push(chunk);
  } finally {
    await handle.close();
  }
  return {
    manifest: Buffer.concat(chunks).toString('latin1'),
    source: {
      name: directory,
      // The manifest decoded its name as a plain file name.
      open: async (part, fromBytes, signal) => ({
        skipBytes: 0,
        chunks: partFrom(directory, part, fromBytes, signal),
      }),
    },
  };
}

async function* partFrom(
  directory: string,
  part: FirmwarePart,
  fromBytes: number,
  signal: AbortSignal,
): AsyncGenerator<Uint8Array> {
  const handle = await openPlain(join(directory, part.file));
  try {
    holdToSize(part, directory, (await handle.stat()).size);
    // What another source brought is not to be lost for a file that is not the manifest's; reading it costs no line.
    if (fromBytes > 0) await holdToDigest(handle, part, directory, signal);
    yield* bytesFrom(handle, fromBytes, part.sizeBytes);
  } finally {
    await handle.close();
  }
}

async function holdToDigest(
  handle: FileHandle,
  part: FirmwarePart,
  directory: string,
  signal: AbortSignal,
): Promise<void> {
  const hash = createHash('sha256');
  for await (const chunk of bytesFrom(handle, 0, part.sizeBytes)) {
    signal.throwIfAborted();
    hash.update(chunk);
  }
  const sha256 = hash.digest('hex');
  if (sha256 !== part.sha256)
    throw wrong(`${part.file} from ${directory} has SHA-256 ${sha256}, not ${part.sha256}`);
}

/** A link or a device on a stick is not followed. Throws `firmware/source`. */
async function openPlain(path: string): Promise<FileHandle> {
  const { O_RDONLY, O_NOFOLLOW, O_NONBLOCK } = constants;
  const handle = await open(path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch((cause: unknown) => {
    throw missing(`${path} cannot be opened`, cause);
  });
  if ((await handle.stat()).isFile()) return handle;
  await handle.close();
  throw missing(`${path} is no plain file`);
}

/** At most up to `endBytes`. */
async function* bytesFrom(
  handle: FileHandle,
  fromBytes: number,
  endBytes: number,
): AsyncGenerator<Uint8Array> {
  for (let offset = fromBytes; offset < endBytes; ) {
    const buffer = Buffer.allocUnsafe(Math.min(READ_BYTES, endBytes - offset));
    const { bytesRead } = await handle.read(buffer, 0, buffer.length, offset).catch((cause: unknown) => {
      throw missing('a file cannot be read', cause);
    });
    if (bytesRead === 0) return;
    offset += bytesRead;
    yield buffer.subarray(0, bytesRead);
  }
}

function missing(message: string, cause?: unknown): BranchboxError {
  const why = cause instanceof Error ? `: ${cause.message}` : '';
  return new BranchboxError('firmware/source', { message: message + why, cause });
}
