/**
 * Owns the bytes between `lab exec` and guest-exec.pl on a virtio-serial port: frames of type (1 byte), length (4, big
 * endian) and payload. Pure. Does not own the port (guestExec.ts).
 * To the machine: `R` begins a session, `I` is input (empty: its end), `K` a signal's number, zeros mean nothing.
 * From it: a marker with the session's id, then `1` and `2` output, `A` how many bytes of input were taken,
 * `N` a sign of life, `X` the exit code, which ends the session.
 */
import { BranchboxError } from '../../model/errors.ts';

export const MAX_PAYLOAD_BYTES = 65_536;
/** Input that is on its way and not yet taken by the command: more would fill the machine's memory. */
export const INPUT_WINDOW_BYTES = 262_144;
const HEADER_BYTES = 5;
const MARKER = Buffer.from('\0BBS', 'latin1');

export type SessionRequest =
  | {
      readonly kind: 'exec';
      readonly command: readonly string[];
      readonly environment: Readonly<Record<string, string>>;
    }
  /** A unix socket in the machine; its bytes come as output 1. */
  | { readonly kind: 'connect'; readonly path: string };

export type Frame =
  | { readonly type: 'stdout' | 'stderr'; readonly data: Buffer }
  | { readonly type: 'taken'; readonly bytes: number }
  | { readonly type: 'alive' }
  | { readonly type: 'exit'; readonly code: number };

/** What a client sends first. `id`: 32 hex digits that nobody else has. */
export function encodeStart(id: string, request: SessionRequest): Buffer {
  const fields =
    request.kind === 'connect'
      ? [id, 'connect', request.path]
      : [
          id,
          'exec',
          Object.entries(request.environment)
            .map(([name, value]) => `${name}=${value}`)
            .join('\n'),
          ...request.command,
        ];
  if (fields.some((field) => field.includes('\0'))) {
    throw new BranchboxError('cli/usage', { message: 'a word of the command holds a zero byte' });
  }
  const payload = Buffer.from(fields.join('\0'), 'utf8');
  if (payload.length > MAX_PAYLOAD_BYTES) {
    throw new BranchboxError('cli/usage', {
      message: `the command is longer than ${MAX_PAYLOAD_BYTES} bytes`,
      mend: 'hand it in on standard input',
    });
  }
  // A client that died may have left a frame unfinished: zeros fill it up, and the rest of them mean nothing.
  return Buffer.concat([Buffer.alloc(HEADER_BYTES + MAX_PAYLOAD_BYTES), encodeFrame('R', payload)]);
}

/** Input as frames; none where there is no data, since an empty frame is the end of the input. */
export function encodeInput(data: Buffer): Buffer {
  const frames: Buffer[] = [];
  for (let at = 0; at < data.length; at += MAX_PAYLOAD_BYTES) {
    frames.push(encodeFrame('I', data.subarray(at, at + MAX_PAYLOAD_BYTES)));
  }
  return Buffer.concat(frames);
}

export const encodeInputEnd = (): Buffer => encodeFrame('I', Buffer.alloc(0));
export const encodeSignal = (number: number): Buffer => encodeFrame('K', Buffer.from(String(number)));

function encodeFrame(type: string, payload: Buffer): Buffer {
  const header = Buffer.alloc(HEADER_BYTES);
  header.write(type, 0, 'latin1');
  header.writeUInt32BE(payload.length, 1);
  return Buffer.concat([header, payload]);
}

/** Frames of one session out of a stream that may begin with what an earlier session left. */
export function createFrameReader(id: string): { push(chunk: Buffer): readonly Frame[]; begun(): boolean } {
  const marker = Buffer.concat([MARKER, Buffer.from(id, 'hex')]);
  let pending: Buffer = Buffer.alloc(0);
  let begun = false;
  return {
    begun: () => begun,
    push(chunk) {
      pending = Buffer.concat([pending, chunk]);
      if (!begun) {
        const at = pending.indexOf(marker);
        if (at < 0) {
          pending = pending.subarray(Math.max(0, pending.length - marker.length + 1));
          return [];
        }
        begun = true;
        pending = pending.subarray(at + marker.length);
      }
      const frames: Frame[] = [];
      while (pending.length >= HEADER_BYTES) {
        const end = HEADER_BYTES + pending.readUInt32BE(1);
        if (pending.length < end) break;
        frames.push(decodeFrame(pending.toString('latin1', 0, 1), pending.subarray(HEADER_BYTES, end)));
        pending = pending.subarray(end);
      }
      return frames;
    },
  };
}

function decodeFrame(type: string, payload: Buffer): Frame {
  switch (type) {
    case '1':
      return { type: 'stdout', data: payload };
    case '2':
      return { type: 'stderr', data: payload };
    case 'A':
      return { type: 'taken', bytes: Number(payload.toString()) };
    case 'N':
      return { type: 'alive' };
    case 'X':
      return { type: 'exit', code: Number(payload.toString()) };
    default:
      throw new BranchboxError('internal', { message: `the machine sent a frame of unknown type ${type}` });
  }
}
