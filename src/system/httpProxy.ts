/**
 * Owns asking an HTTP proxy for a way through (CONNECT, RFC 9110 9.3.6), over a socket that is connected to it.
 * Does not own the connection to it nor TLS inside (uplinkTls.ts). A proxy is as little trusted as any router: it sees
 * where TLS goes to, and what it answers is capped and shown only as a number.
 */
import type { Socket } from 'node:net';
import type { HttpProxy } from '../model/medium.ts';

/** A status line and some headers. */
const MAX_ANSWER_BYTES = 8 * 1024;
const END_OF_HEADERS = '\r\n\r\n';

/** Resolves when the socket is the way to `host:port`; rejects where the proxy says no. The caller ends the socket. */
export function openTunnel(
  socket: Socket,
  to: { readonly host: string; readonly port: number },
  proxy: HttpProxy,
): Promise<void> {
  const { promise, resolve, reject } = Promise.withResolvers<void>();
  const target = `${to.host.includes(':') ? `[${to.host}]` : to.host}:${to.port}`;
  let answer = Buffer.alloc(0);
  const settle = (problem?: string): void => {
    socket.off('data', onData);
    socket.off('close', onClose);
    socket.pause();
    if (problem === undefined) resolve();
    else reject(new Error(problem));
  };
  const onClose = (): void => settle('the proxy closed the connection');
  const onData = (chunk: Buffer): void => {
    answer = Buffer.concat([answer, chunk]);
    const end = answer.indexOf(END_OF_HEADERS);
    if (end < 0) {
      if (answer.length > MAX_ANSWER_BYTES) settle('the proxy answered with more than headers');
      return;
    }
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r\n)/.exec(answer.toString('latin1'))?.[1] ?? NaN);
    // The server speaks first only after our hello: what follows the headers is the proxy's own.
    if (status >= 200 && status <= 299 && answer.length === end + END_OF_HEADERS.length) settle();
    else settle(describe(status));
  };
  socket.on('data', onData);
  socket.on('close', onClose);
  const credentials =
    proxy.user === undefined
      ? ''
      : `Proxy-Authorization: Basic ${Buffer.from(`${proxy.user}:${proxy.password ?? ''}`).toString('base64')}\r\n`;
  socket.write(`CONNECT ${target} HTTP/1.1\r\nHost: ${target}\r\n${credentials}\r\n`);
  return promise;
}

/** For a person. Pure. */
function describe(status: number): string {
  if (Number.isNaN(status)) return 'the proxy does not speak HTTP';
  if (status === 407) return 'the proxy answered 407: it wants another user or password';
  if (status === 403 || status === 405)
    return `the proxy answered ${status}: it does not allow this destination`;
  return `the proxy answered ${status}`;
}
