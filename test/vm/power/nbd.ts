/**
 * Owns the wire format of the Network Block Device protocol, as much of it as QEMU's client speaks to one export
 * (NetworkBlockDevice/nbd doc/proto.md: fixed newstyle negotiation, simple replies). Pure.
 */
export const COMMANDS = { read: 0, write: 1, disconnect: 2, flush: 3, writeZeroes: 6 } as const;
export const FLAG_FUA = 1;
export const REQUEST_BYTES = 28;
const REQUEST_MAGIC = 0x25609513;
const REPLY_MAGIC = 0x67446698;
const OPTION_MAGIC = Buffer.from('49484156454f5054', 'hex');
const OPTION_REPLY_MAGIC = Buffer.from('0003e889045565a9', 'hex');
const OPTION = { exportName: 1, abort: 2, info: 6, go: 7 } as const;
const REPLY = { ack: 1, info: 3, unsupported: 0x8000_0001 } as const;
const OPTION_HEADER_BYTES = 16;
/** HAS_FLAGS, SEND_FLUSH, SEND_FUA, SEND_WRITE_ZEROES. */
const TRANSMISSION_FLAGS = (1 << 0) | (1 << 2) | (1 << 3) | (1 << 6);

/** Server's greeting: fixed newstyle, no zeroes after the old export option. */
export const greeting = (): Buffer =>
  Buffer.concat([Buffer.from('4e42444d41474943', 'hex'), OPTION_MAGIC, Buffer.from([0, 3])]);

export interface Negotiation {
  /** Bytes of the input that were used. */
  readonly used: number;
  readonly answer: Buffer;
  readonly outcome: 'more' | 'transmission' | 'end';
}

/** One option of the client, after its four bytes of flags; undefined where it has not come in whole. */
export function negotiate(input: Buffer, sizeBytes: number): Negotiation | undefined {
  if (input.length < OPTION_HEADER_BYTES) return undefined;
  const option = input.readUInt32BE(8);
  const used = OPTION_HEADER_BYTES + input.readUInt32BE(12);
  if (input.length < used) return undefined;
  const reply = (type: number, data: Buffer = Buffer.alloc(0)): Buffer => {
    const header = Buffer.alloc(12);
    header.writeUInt32BE(option, 0);
    header.writeUInt32BE(type, 4);
    header.writeUInt32BE(data.length, 8);
    return Buffer.concat([OPTION_REPLY_MAGIC, header, data]);
  };
  switch (option) {
    case OPTION.go:
    case OPTION.info: {
      const info = Buffer.alloc(12);
      info.writeBigUInt64BE(BigInt(sizeBytes), 2);
      info.writeUInt16BE(TRANSMISSION_FLAGS, 10);
      const answer = Buffer.concat([reply(REPLY.info, info), reply(REPLY.ack)]);
      return { used, answer, outcome: option === OPTION.go ? 'transmission' : 'more' };
    }
    case OPTION.abort:
      return { used, answer: reply(REPLY.ack), outcome: 'end' };
    default:
      return { used, answer: reply(REPLY.unsupported), outcome: 'more' };
  }
}

export interface Request {
  readonly flags: number;
  readonly command: number;
  readonly cookie: Buffer;
  readonly offset: number;
  readonly length: number;
}

/** undefined where the header has not come in whole; a write's data follow it. */
export function readRequest(input: Buffer): Request | undefined {
  if (input.length < REQUEST_BYTES) return undefined;
  if (input.readUInt32BE(0) !== REQUEST_MAGIC) throw new Error('NBD: no request where one must begin');
  return {
    flags: input.readUInt16BE(4),
    command: input.readUInt16BE(6),
    cookie: Buffer.from(input.subarray(8, 16)),
    offset: Number(input.readBigUInt64BE(16)),
    length: input.readUInt32BE(24),
  };
}

/** `error`: an errno, 0 for none. */
export function simpleReply(cookie: Buffer, error: number, data: Buffer = Buffer.alloc(0)): Buffer {
  const header = Buffer.alloc(8);
  header.writeUInt32BE(REPLY_MAGIC, 0);
  header.writeUInt32BE(error, 4);
  return Buffer.concat([header, cookie, data]);
}
