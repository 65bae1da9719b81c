/**
 * Owns what is made of `Expect` (RFC 9110 10.1.1): a client that waits before it sends a body is told to go on when the
 * body is first read. So whatever its head alone decides (method, credential, media type, length) is answered with no
 * 100 before it, and the body never crosses the line. Does not own what is decided, nor in which form.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';

/** To a request of which `isUnmet`, by whoever answers requests. */
export const UNMET = { status: 417, why: 'no expectation is met here but 100-continue' } as const;

export function heedExpectations(server: Server): void {
  server.on('checkContinue', (request: IncomingMessage, response: ServerResponse) => {
    continueAtRead(request, response);
    server.emit('request', request, response);
  });
  // Node would answer in a form of its own.
  server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) => {
    server.emit('request', request, response);
  });
}

/** Also where one of several is. */
export const isUnmet = ({ expect = '' }: IncomingHttpHeaders): boolean =>
  expect
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .some((one) => one !== '' && one !== '100-continue');

/** By the one method that all ways to read a stream come down to. */
function continueAtRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request);
  request._read = (sizeBytes) => {
    request._read = read;
    // Who reads on behind an answer (requestBody.ts) asks for nothing.
    if (!response.headersSent) response.writeContinue();
    read(sizeBytes);
  };
}
