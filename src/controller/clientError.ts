/**
 * Owns what is answered to bytes that the parser of HTTP refuses (a method that it does not know, a header too long, a
 * request that does not end) and to CONNECT: a whole answer of the server's own form, and the end of the connection.
 * Does not own methods that the parser knows (each server's own), nor handshakes that fail.
 */
import { type IncomingMessage, type Server, type ServerResponse, STATUS_CODES } from 'node:http';
import type { Duplex } from 'node:stream';
import type { Answer } from './exchange.ts';
import { drain } from './requestBody.ts';

export interface ClientErrors {
  /** To be called at `clientError`. */
  answer(error: ParserError, socket: Duplex): void;
  /** So that an answer which is on its way is never mixed with one of these. */
  watch(server: Pick<Server, 'on'>): void;
}

/** As Node hands it out: where it comes from the parser, with the bytes and how far they were read. */
export interface ParserError extends Error {
  readonly code?: string | undefined;
  readonly rawPacket?: unknown;
  readonly bytesParsed?: unknown;
}

interface Meaning {
  readonly status: number;
  readonly why: string;
}

/** What comes after is thrown away this far, so that the answer is not lost with it (requestBody.ts says why). */
const REST = { maxBytes: 1024 * 1024, timeoutMs: 2_000 } as const;
/** A method is a token (RFC 9110 5.6.2, 9.1); none is longer than this. */
const REQUEST_LINE = /^([!#$%&'*+.^_`|~0-9A-Za-z-]{1,32}) \S/;

export function createClientErrors(refusal: (status: number, why: string) => Answer): ClientErrors {
  const exchanges = new WeakMap<
    Duplex,
    { readonly request: IncomingMessage; readonly response: ServerResponse }
  >();
  const ending = new WeakSet<Duplex>();

  const refuse = (socket: Duplex, { status, why }: Meaning): void => {
    ending.add(socket);
    // The parser's: it would refuse each further byte again.
    socket.removeAllListeners('data');
    socket.on('error', () => socket.destroy());
    socket.end(render(refusal(status, why)));
    void drain(socket, REST).then(() => socket.destroy());
  };
  return {
    answer(error, socket) {
      if (ending.has(socket)) return;
      const meaning = meaningOf(error);
      if (meaning === undefined || !socket.writable) return void socket.destroy();
      const { request, response } = exchanges.get(socket) ?? {};
      const isAnswering = response !== undefined && !response.writableFinished;
      if (isAnswering && request?.complete === true) {
        // The refused bytes came after a request whose answer is still to come.
        ending.add(socket);
        return void response.once('finish', () =>
          socket.writable ? refuse(socket, meaning) : socket.destroy(),
        );
      }
      if (isAnswering && response.headersSent) return void socket.destroy();
      return refuse(socket, meaning);
    },
    watch(server) {
      server.on('request', (request: IncomingMessage, response: ServerResponse) => {
        exchanges.set(request.socket, { request, response });
      });
      server.on('connect', (_request: IncomingMessage, socket: Duplex) =>
        refuse(socket, { status: 501, why: 'there is no method CONNECT here' }),
      );
    },
  };
}

/** undefined: the peer speaks no HTTP, or hung up. Pure. */
function meaningOf(error: ParserError): Meaning | undefined {
  switch (error.code) {
    case 'HPE_INVALID_METHOD': {
      const method = methodOf(error);
      if (method === undefined) return { status: 400, why: 'this is no request of HTTP/1.1' };
      // RFC 9110 15.6.2: a method that is not known of any resource.
      return { status: 501, why: `there is no method ${method} here` };
    }
    case 'HPE_HEADER_OVERFLOW':
      return { status: 431, why: 'the header is too long' };
    case 'HPE_CHUNK_EXTENSIONS_OVERFLOW':
      return { status: 413, why: 'the extensions of a chunk are too long' };
    case 'ERR_HTTP_REQUEST_TIMEOUT':
      return { status: 408, why: 'the request did not come to its end in time' };
    default:
      if (error.code?.startsWith('HPE_') !== true) return undefined;
      return { status: 400, why: 'the request is not well-formed HTTP/1.1' };
  }
}

/** Of the request line at which the parser stopped, which need not be the first in these bytes. */
function methodOf({ rawPacket, bytesParsed }: ParserError): string | undefined {
  if (!Buffer.isBuffer(rawPacket) || typeof bytesParsed !== 'number') return undefined;
  const start = bytesParsed === 0 ? 0 : rawPacket.lastIndexOf(0x0a, bytesParsed - 1) + 1;
  return REQUEST_LINE.exec(rawPacket.subarray(start, start + 64).toString('latin1'))?.[1];
}

function render({ status, mediaType, body = '', headers = {} }: Answer): Buffer {
  const bytes = Buffer.from(body);
  const fields = {
    ...(mediaType === undefined ? {} : { 'Content-Type': mediaType }),
    'Content-Length': String(bytes.length),
    'Cache-Control': 'no-store',
    Connection: 'close',
    ...headers,
  };
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  return Buffer.concat([
    Buffer.from(`HTTP/1.1 ${status} ${STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n`),
    bytes,
  ]);
}
