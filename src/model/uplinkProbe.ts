/**
 * Owns what a box and its controller say to each other in an uplink test: the session that is granted over mutual TLS,
 * and the UDP probes under it, byte by byte. Pure; the caller computes tags.
 * Does not own sending, answering (controller/uplinkTest) nor what is made of the answers (wan/uplinkTest).
 *
 * A probe is an IP packet of a chosen size and its answer is never larger: nobody is made to flood another. No answer
 * goes to whom a session's key did not speak for, and none twice to one number: nothing that was overheard is of use.
 *
 *   0  magic `BBup`         4
 *   4  version 1            1
 *   5  kind 1 ask, 2 answer 1
 *   6  ask: bytes wanted of the answer; answer: bytes that came    2
 *   8  session              8
 *  16  number               4
 *  20  answer: the asker's address as seen, IPv4-mapped for IPv4  16
 *  36  answer: its port                                            2
 *  38  zero                 2
 *  40  first 16 bytes of HMAC-SHA-256(session key, bytes 0 to 39 and the datagram's length as 2 bytes)
 *  56  zeros up to the size
 */
import { z } from 'zod';
import { Port } from './addresses.ts';
import { addressOfOctets, octetsOf } from './prefixes.ts';
import type { Family } from './underlay.ts';

export const PROBE_HEADER_BYTES = 56;
const TAG_OFFSET = 40;
const TAG_BYTES = 16;
const MAGIC = 0x42_42_75_70;
const VERSION = 1;
/** IP and UDP headers around a probe. */
export const probeOverhead = (family: Family): number => (family === 4 ? 28 : 48);

export const PROBE_LIMITS = {
  /** Of one session. */
  packets: 2048,
  bytes: 2 * 1024 * 1024,
  lifeMs: 120_000,
} as const;

/** `POST` of sessionPath, over mutual TLS: what the controller grants. */
export const ProbeSession = z.strictObject({
  /** Hexadecimal. */
  session: z.string().regex(/^[0-9a-f]{16}$/),
  /** Base64; a secret of this session. */
  key: z.base64().length(44),
  /** Two: whether a NAT maps them alike. */
  ports: z.array(Port).length(2),
});
export type ProbeSession = z.output<typeof ProbeSession>;

/** Paths of the device API. */
export const SESSION_PATH = '/v1/uplink-test/session';
export const UPLOAD_PATH = '/v1/uplink-test/upload';
export const downloadPath = (bytes: number): string => `/v1/uplink-test/download/${bytes}`;
/** Of one transfer. */
export const TRANSFER_MAX_BYTES = 32 * 1024 * 1024;

export interface Ask {
  readonly session: Uint8Array;
  readonly number: number;
  /** Of the answer; capped to the size of the ask by whoever answers. */
  readonly answerBytes: number;
}
export interface ProbeAnswer {
  readonly session: Uint8Array;
  readonly number: number;
  readonly cameBytes: number;
  /** 16 bytes. */
  readonly address: Uint8Array;
  readonly port: number;
}

/** What a tag is over: the header before it, and the length, so that nobody shortens or stretches a probe. */
export type Tag = (signed: Uint8Array) => Uint8Array;

/** `sizeBytes` is that of the UDP payload, at least the header's. */
export function encodeAsk(ask: Ask, sizeBytes: number, tag: Tag): Uint8Array {
  const { bytes, view } = head(1, ask.session, ask.number, sizeBytes);
  view.setUint16(6, ask.answerBytes);
  return sealed(bytes, tag);
}

export function encodeAnswer(answer: ProbeAnswer, sizeBytes: number, tag: Tag): Uint8Array {
  const { bytes, view } = head(2, answer.session, answer.number, sizeBytes);
  view.setUint16(6, answer.cameBytes);
  bytes.set(answer.address.subarray(0, 16), 20);
  view.setUint16(36, answer.port);
  return sealed(bytes, tag);
}

/** The session that a datagram claims, before its tag is looked at; undefined where it is none of ours. */
export function claimedSession(datagram: Uint8Array, kind: 'ask' | 'answer'): string | undefined {
  if (datagram.length < PROBE_HEADER_BYTES || datagram.length > 0xffff) return undefined;
  const view = viewOf(datagram);
  if (view.getUint32(0) !== MAGIC || view.getUint8(4) !== VERSION) return undefined;
  if (view.getUint8(5) !== (kind === 'ask' ? 1 : 2)) return undefined;
  return hexOf(datagram.subarray(8, 16));
}

/** Only after claimedSession; undefined where the tag is not that of the key. */
export function parseAsk(datagram: Uint8Array, tag: Tag): Ask | undefined {
  if (!isSealed(datagram, tag)) return undefined;
  const view = viewOf(datagram);
  return {
    session: datagram.slice(8, 16),
    number: view.getUint32(16),
    answerBytes: view.getUint16(6),
  };
}

export function parseAnswer(datagram: Uint8Array, tag: Tag): ProbeAnswer | undefined {
  if (!isSealed(datagram, tag)) return undefined;
  const view = viewOf(datagram);
  return {
    session: datagram.slice(8, 16),
    number: view.getUint32(16),
    cameBytes: view.getUint16(6),
    address: datagram.slice(20, 36),
    port: view.getUint16(36),
  };
}

/** 16 bytes; `198.51.100.7` is mapped (RFC 4291 2.5.5.2). undefined where it is no address. */
export function addressBytes(address: string): Uint8Array | undefined {
  const octets = octetsOf(address);
  if (octets.length === 16) return new Uint8Array(octets);
  if (octets.length !== 4) return undefined;
  return new Uint8Array([...Array.from({ length: 10 }, () => 0), 0xff, 0xff, ...octets]);
}
export const addressText = (bytes: Uint8Array): string => addressOfOctets([...bytes.subarray(0, 16)]);

export const hexOf = (bytes: Uint8Array): string =>
  [...bytes].map((byte) => byte.toString(16).padStart(2, '0')).join('');
export const bytesOfHex = (hex: string): Uint8Array =>
  new Uint8Array((hex.match(/../g) ?? []).map((pair) => Number.parseInt(pair, 16)));

const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

function head(kind: 1 | 2, session: Uint8Array, number: number, sizeBytes: number) {
  const bytes = new Uint8Array(Math.max(PROBE_HEADER_BYTES, sizeBytes));
  const view = viewOf(bytes);
  view.setUint32(0, MAGIC);
  view.setUint8(4, VERSION);
  view.setUint8(5, kind);
  bytes.set(session.subarray(0, 8), 8);
  view.setUint32(16, number);
  return { bytes, view };
}

function signedPart(datagram: Uint8Array): Uint8Array {
  const signed = new Uint8Array(TAG_OFFSET + 2);
  signed.set(datagram.subarray(0, TAG_OFFSET));
  viewOf(signed).setUint16(TAG_OFFSET, datagram.length);
  return signed;
}

function sealed(bytes: Uint8Array, tag: Tag): Uint8Array {
  bytes.set(tag(signedPart(bytes)).subarray(0, TAG_BYTES), TAG_OFFSET);
  return bytes;
}

/** Every byte is compared, whatever the first difference. */
function isSealed(datagram: Uint8Array, tag: Tag): boolean {
  const wanted = tag(signedPart(datagram));
  let difference = 0;
  for (let i = 0; i < TAG_BYTES; i += 1) difference |= (wanted[i] ?? 0) ^ (datagram[TAG_OFFSET + i] ?? 0);
  return difference === 0;
}
