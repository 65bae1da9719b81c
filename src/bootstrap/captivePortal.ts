/**
 * Owns telling a captive portal (RFC 8952) from a line that is merely dead: by what answers over TLS in a server's place, and by
 * one plain HTTP request over the uplink, to port 80 of the bootstrap server's own name, for a path that cannot exist. Whoever
 * answers that with a page, or redirects it elsewhere, stands in between.
 *
 * Nothing of the answer is followed or believed. Where it redirects to is shown to the installer, who must sign in there or have
 * this box let through.
 */
import { randomBytes } from 'node:crypto';
import { connect, type Socket } from 'node:net';
import { bracketed } from '../model/addresses.ts';
import { BranchboxError } from '../model/errors.ts';
import { asciiOf } from '../model/foreignText.ts';
import type { UplinkDialer } from '../system/uplinkDial.ts';
import { type Server, serverName, uplinkName } from './discover.ts';
import type { Answer } from './https.ts';
import type { Uplink } from './uplink.ts';

const PROBE_PORT = 80;
const PROBE_TIMEOUT_MS = 3_000;
/** Of status line and headers; nothing of a page is read. */
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_SHOWN = 120;

/** What a browser would show; nothing that a box asks for is of these types. Pure. */
export const isPage = (contentType: string): boolean =>
  contentType === 'text/html' || contentType === 'application/xhtml+xml';

/** In words for an installer. `what`: what the portal does; `where`: the page that it sends browsers to. */
export function captivePortal(
  uplink: Pick<Uplink, 'ifname' | 'address'>,
  what: string,
  where?: string,
): BranchboxError {
  return new BranchboxError('bootstrap/captive-portal', {
    message: `A captive portal on ${uplinkName(uplink)} ${what}${where === undefined ? '' : `; it sends browsers to ${asciiOf(where, MAX_SHOWN)}`}`,
    mend: 'sign in with a computer on that line, or have its provider let this box through',
  });
}

/** Resolves to the portal, or to undefined where nobody answers, or who answers may be the server itself. */
export async function probePortal(
  dialer: Pick<UplinkDialer, 'resolve'>,
  server: Server,
  uplink: Uplink,
  outer: AbortSignal,
): Promise<BranchboxError | undefined> {
  const signal = AbortSignal.any([outer, AbortSignal.timeout(PROBE_TIMEOUT_MS)]);
  try {
    const [address] = await dialer.resolve(server.host, uplink);
    if (address === undefined || signal.aborted) return undefined;
    return judgeAnswer(await askPlainly(address, server, uplink, signal), server, uplink);
  } catch {
    outer.throwIfAborted();
    return undefined;
  }
}

/** Pure. A server that sends plain HTTP to its own HTTPS is no portal. */
export function judgeAnswer(
  headers: string,
  server: Server,
  uplink: Pick<Uplink, 'ifname' | 'address'>,
): BranchboxError | undefined {
  const status = Number(/^HTTP\/1\.[01] (\d{3})/.exec(headers)?.[1] ?? NaN);
  const location = /^location:[ \t]*(\S+)/im.exec(headers)?.[1];
  const hasPage = /^content-type:[ \t]*(?:text\/html|application\/xhtml\+xml)/im.test(headers);
  const answers = `answers for ${serverName(server)}`;
  // RFC 6585 section 6.
  if (status === 511)
    return captivePortal(uplink, `${answers} with 511, Network Authentication Required`, location);
  if (status >= 300 && status < 400 && location !== undefined) {
    const own = bracketed(server.host);
    const target = URL.canParse(location, `http://${own}`) ? new URL(location, `http://${own}`) : undefined;
    if (target?.protocol === 'https:' && target.hostname === own) return undefined;
    return captivePortal(uplink, `${answers} with ${status}`, location);
  }
  return status === 200 && hasPage ? captivePortal(uplink, `${answers} with a page of its own`) : undefined;
}

/** Of an answer over TLS: nobody who speaks SZTP redirects by HTTP (RFC 8572 has its own) or answers with a page. Pure. */
export function portalInstead(
  { status, contentType }: Pick<Answer, 'status' | 'contentType'>,
  server: Server,
  uplink: Pick<Uplink, 'ifname' | 'address'>,
): BranchboxError | undefined {
  const hasPage = status === 200 && isPage(contentType);
  if (!hasPage && status !== 511 && (status < 300 || status > 399)) return undefined;
  return captivePortal(uplink, `answers for ${serverName(server)} with ${hasPage ? 'a page' : status}`);
}

function askPlainly(address: string, server: Server, uplink: Uplink, signal: AbortSignal): Promise<string> {
  const { promise, resolve, reject } = Promise.withResolvers<string>();
  const socket: Socket = connect({ host: address, port: PROBE_PORT, localAddress: uplink.address, signal });
  let text = '';
  socket.setEncoding('latin1');
  // The server's own port 80 may have pages, but not this one; a portal answers whatever it is asked for.
  const nowhere = randomBytes(8).toString('hex');
  socket.once('connect', () =>
    socket.write(`GET /${nowhere} HTTP/1.1\r\nHost: ${bracketed(server.host)}\r\nConnection: close\r\n\r\n`),
  );
  socket.on('data', (chunk: string) => {
    text += chunk;
    if (text.includes('\r\n\r\n') || text.length > MAX_HEADER_BYTES) socket.destroy();
  });
  socket.once('error', reject);
  socket.once('close', () => resolve(text.split('\r\n\r\n', 1)[0] ?? ''));
  return promise;
}
