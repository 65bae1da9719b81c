/**
 * Owns where parts of a firmware version come from: the controller's device API, or a directory (a stick) that somebody
 * mounted. Both are hostile until the digest is right; neither is asked for more than a manifest names.
 */
import { createHash } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, open, opendir } from 'node:fs/promises';
import type { IncomingMessage } from 'node:http';
import { join } from 'node:path';
import { firmwarePath } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
import { type FirmwarePart, MANIFEST_MAX_BYTES } from '../model/firmware.ts';
import { type DeviceClient, deviceUnreachable } from '../system/deviceClient.ts';
import { holdToSize, wrong } from './fetchPart.ts';
import type { PartSource } from './ports.ts';

const MANIFEST_SUFFIX = '.update.jws';
/** A stick holds some versions, not a library. */
const MAX_NAMES = 10_000;
const READ_BYTES = 256 * 1024;

/** Up to `endBytes`; undefined: all the rest. */
interface Asked {
  readonly fromBytes: number;
  readonly endBytes: number | undefined;
}
const WHOLE: Asked = { fromBytes: 0, endBytes: undefined };

export function createControllerSource(device: DeviceClient): PartSource {
  const get = (part: FirmwarePart, asked: Asked, signal: AbortSignal): Promise<IncomingMessage> =>
    device.get(firmwarePath(part.sha256), { ...asked, signal });
  const name = 'the controller';
  const unexpected = ({ statusCode }: IncomingMessage, part: FirmwarePart): BranchboxError =>
    new BranchboxError('firmware/source', {
      message: `the controller answered ${statusCode ?? 0} for ${part.file}`,
      ...(statusCode === 404 ? { mend: 'Upload the version to the controller again.' } : {}),
    });

  /** Each is asked for when all before it was taken. */
  async function* pieces(
    first: IncomingMessage,
    part: FirmwarePart,
    fromBytes: number,
    pieceBytes: number,
    signal: AbortSignal,
  ): AsyncGenerator<Uint8Array> {
    let answer = first;
    for (let at = fromBytes; ; ) {
      const { endBytes } = pieceAt(part, at, pieceBytes);
      const beganAt = at;
      for await (const chunk of bytesOf(answer)) {
        at += chunk.length;
        // More than the whole is told as such by who counts that.
        if (at > endBytes && endBytes < part.sizeBytes) {
          throw new BranchboxError('firmware/source', {
            message: `the controller sent more of ${part.file} than was asked for`,
          });
        }
        yield chunk;
      }
      if (at === beganAt || at >= part.sizeBytes) return;
      const asked = pieceAt(part, at, pieceBytes);
      answer = await get(part, asked, signal);
      try {
        const said = wholeBytesOf(answer);
        if (said !== undefined) holdToSize(part, name, said);
        // It knew ranges before: the next try asks it for whatever it has.
        if (answer.statusCode !== 206 || isMisled(answer, part, asked)) throw unexpected(answer, part);
      } catch (thrown) {
        answer.destroy();
        throw thrown;
      }
    }
  }

  return {
    name,
    async open(part, fromBytes, signal, pieceBytes) {
      const asked: Asked =
        pieceBytes === undefined ? { fromBytes, endBytes: undefined } : pieceAt(part, fromBytes, pieceBytes);
      const isRange = fromBytes > 0 || asked.endBytes !== undefined;
      let answer = await get(part, asked, signal);
      let said = wholeBytesOf(answer);
      if (isRange && isMisled(answer, part, asked)) {
        // Asked the same again, it would say the same again.
        answer.destroy();
        answer = await get(part, WHOLE, signal);
        said = wholeBytesOf(answer) ?? (answer.statusCode === 200 ? undefined : said);
      }
      try {
        if (said !== undefined) holdToSize(part, name, said);
        if (answer.statusCode === 200) return { skipBytes: fromBytes, chunks: bytesOf(answer) };
        if (isRange && answer.statusCode === 206 && !isMisled(answer, part, asked)) {
          const chunks =
            pieceBytes === undefined ? bytesOf(answer) : pieces(answer, part, fromBytes, pieceBytes, signal);
          return { skipBytes: 0, chunks };
        }
        throw unexpected(answer, part);
      } catch (thrown) {
        answer.destroy();
        throw thrown;
      }
    },
  };
}

const pieceAt = ({ sizeBytes }: FirmwarePart, fromBytes: number, pieceBytes: number) => ({
  fromBytes,
  endBytes: Math.min(fromBytes + pieceBytes, sizeBytes),
});

/** What it says the whole part has, whatever of it is in this answer; undefined: it does not say. */
function wholeBytesOf({ statusCode, headers }: IncomingMessage): number | undefined {
  const said =
    statusCode === 200
      ? /^(\d{1,15})$/.exec(headers['content-length'] ?? '')
      : statusCode === 206 || statusCode === 416
        ? /^bytes (?:\d{1,15}-\d{1,15}|\*)\/(\d{1,15})$/.exec(headers['content-range'] ?? '')
        : null;
  return said === null ? undefined : Number(said[1]);
}

/** It has another range than was asked for, of another file, or none. */
function isMisled(
  { statusCode, headers }: IncomingMessage,
  { sizeBytes }: FirmwarePart,
  { fromBytes, endBytes }: Asked,
): boolean {
  if (statusCode !== 206) return statusCode === 416;
  const range = /^bytes (\d{1,15})-(\d{1,15})\/(\d{1,15}|\*)$/.exec(headers['content-range'] ?? '');
  const [, start, last, total] = range ?? [];
  return (
    Number(start) !== fromBytes ||
    (endBytes !== undefined && Number(last) >= endBytes) ||
    (total !== '*' && Number(total) !== sizeBytes)
  );
}

async function* bytesOf(answer: IncomingMessage): AsyncGenerator<Uint8Array> {
  try {
    for await (const chunk of answer) yield Buffer.from(chunk);
  } catch (thrown) {
    throw deviceUnreachable('the rest of a firmware part', thrown);
  } finally {
    answer.destroy();
  }
}

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
    for await (const chunk of bytesFrom(handle, 0, MANIFEST_MAX_BYTES)) chunks.push(chunk);
  } finally {
    await handle.close();
  }
  return {
    manifest: Buffer.concat(chunks).toString('latin1'),
    source: {
      name: directory,
      // Its name was decoded as a plain file name.
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
