/**
 * Owns `Expect: 100-continue` (RFC 9110 10.1.1): a client that waits before it sends its body is told to continue when the body is
 * first read. So whatever the head alone decides (method, credential, media type, length) is answered without a 100, and the body
 * is never sent. Does not own what is decided, nor in which form.
 */
import type { IncomingHttpHeaders, IncomingMessage, ServerResponse } from 'node:http';
import type { Server } from 'node:https';

/** The answer to a request of which `isUnmet`. */
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

/** Whether any of its expectations is not met here. */
export const isUnmet = ({ expect = '' }: IncomingHttpHeaders): boolean =>
  expect
    .split(',')
    .map((one) => one.trim().toLowerCase())
    .some((one) => one !== '' && one !== '100-continue');

/** Hooks _read, which every way to read a stream comes down to. */
function continueAtRead(request: IncomingMessage, response: ServerResponse): void {
  const read = request._read.bind(request);
  request._read = (sizeBytes) => {
    request._read = read;
    // After an answer the body is only drained (requestBody.ts): no 100 then.
    if (!response.headersSent) response.writeContinue();
    read(sizeBytes);
  };
}
