/**
 * Owns asking an HTTP proxy for a way through (CONNECT, RFC 9110 9.3.6), over a socket that is connected to it.
 * Does not own the connection to it nor TLS inside (uplinkTls.ts). A proxy is as little trusted as any router: it sees
 * where TLS goes to, and what it answers is capped, and a number and names of schemes are all that is shown of it.
 */
import type { Socket } from 'node:net';
import type { HttpProxy } from '../model/medium.ts';

/** A status line and some headers. */
const MAX_ANSWER_BYTES = 8 * 1024;
const MAX_SCHEMES = 4;
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
    const headers = answer.toString('latin1', 0, end + END_OF_HEADERS.length);
    const status = Number(/^HTTP\/1\.[01] (\d{3})(?: |\r\n)/.exec(headers)?.[1] ?? NaN);
    // The server speaks first only after our hello: what follows the headers is the proxy's own.
    if (status >= 200 && status <= 299 && answer.length === headers.length) settle();
    else settle(describe(status, headers, proxy.user !== undefined));
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
function describe(status: number, headers: string, hasUser: boolean): string {
  if (Number.isNaN(status)) return 'the proxy does not speak HTTP';
  return `the proxy answered ${status}${meaningOf(status, headers, hasUser)}`;
}

function meaningOf(status: number, headers: string, hasUser: boolean): string {
  if (status >= 200 && status <= 299) return ' with something of its own';
  if (status === 403 || status === 405) return ': it does not allow this destination';
  // RFC 9110 15.6.3 and 15.6.5; many say 503 where a name is unknown to them.
  if (status >= 502 && status <= 504) return ': it does not reach this destination';
  if (status !== 407) return '';
  const schemes = schemesOf(headers);
  if (schemes.length > 0 && !schemes.some((scheme) => scheme.toLowerCase() === 'basic')) {
    return `: it asks for ${schemes.join(', ')}, and this box knows Basic alone; have it let this box through`;
  }
  return hasUser
    ? ': it wants another user or password'
    : ': it wants a user and password, and this box was given none';
}

/**
 * Of the challenges (RFC 9110 11.7.1). Proxies name each scheme in a line of its own, as browsers want it; of a list in one
 * line a scheme is what stands at the beginning or behind a comma and is no parameter.
 */
function schemesOf(headers: string): readonly string[] {
  const lines = [...headers.matchAll(/^proxy-authenticate:[ \t]*([^\r\n]*)/gim)].map(
    ([, list]) => list ?? '',
  );
  const schemes = lines.flatMap((list) =>
    [
      ...list
        .replaceAll(/"[^"]*"/g, '""')
        .matchAll(/(?:^|,)[ \t]*([A-Za-z][A-Za-z0-9-]{0,31})(?=[ \t]*(?:,|$)|[ \t]+[^= \t])/g),
    ].map(([, scheme]) => scheme ?? ''),
  );
  return [...new Set(schemes)].slice(0, MAX_SCHEMES);
}
