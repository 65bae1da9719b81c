/**
 * Owns fetching parts of a firmware version from the controller's device API; in ranges where the line is to be left to
 * others in between. Hostile until the digest is right: no more is taken than a manifest names.
 * Does not own what is done with the bytes (fetchPart.ts).
 */
import type { IncomingMessage } from 'node:http';
import { firmwarePath } from '../model/deviceApi.ts';
import { BranchboxError } from '../model/errors.ts';
import type { FirmwarePart } from '../model/firmware.ts';
import { type DeviceClient, deviceUnreachable } from '../system/deviceClient.ts';
import { holdToSize } from './fetchPart.ts';
import type { PartSource } from './ports.ts';

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
  const unexpected = (answer: IncomingMessage, part: FirmwarePart): BranchboxError => {
    const { statusCode } = answer;
    const coding = codingOf(answer);
    const how = coding === undefined ? '' : `, in the content coding ${coding}, which nobody asked for`;
    return new BranchboxError('firmware/source', {
      message: `the controller answered ${statusCode ?? 0} for ${part.file}${how}`,
      ...(statusCode === 404 ? { mend: 'Upload the version to the controller again.' } : {}),
    });
  };

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
        if (codingOf(answer) !== undefined) throw unexpected(answer, part);
        const said = wholeBytesOf(answer);
        if (said !== undefined) holdToSize(part, name, said);
        // The server took ranges before: the next try asks for all of it.
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
        // The same request would be answered in the same way.
        answer.destroy();
        answer = await get(part, WHOLE, signal);
        said = wholeBytesOf(answer) ?? (answer.statusCode === 200 ? undefined : said);
      }
      try {
        // By whatever stands before the controller: neither its sizes nor its bytes are the part's.
        if (codingOf(answer) !== undefined) throw unexpected(answer, part);
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

/** RFC 9110, 8.4; undefined: the bytes as they are. */
function codingOf({ headers }: IncomingMessage): string | undefined {
  const coding = headers['content-encoding']?.trim().toLowerCase();
  return coding === undefined || coding === '' || coding === 'identity' ? undefined : coding.slice(0, 40);
}

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
