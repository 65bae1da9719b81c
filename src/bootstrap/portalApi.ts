/**
 * Owns asking a captive portal whether it is one (RFC 8908), where the network named its API (RFC 8910): one GET over the
 * uplink, beside what captivePortal.ts sees by itself.
 *
 * Whoever answers DHCP chose the address, so nothing is shown to it (no certificate of this box, no cookie, no name) and
 * nothing of it is followed or acted on: a page is named to the installer. It must prove its name by a certificate of the
 * authorities that browsers take (RFC 8908 4.1), valid by the clock as it is: else the box says what it would have said
 * without it. A box with a clock in 1970 recognises a portal as before.
 */
import { request } from 'node:https';
import { z } from 'zod';
import { decodeJson } from '../model/decode.ts';
import type { BranchboxError } from '../model/errors.ts';
import type { UplinkDialer } from '../system/uplinkDial.ts';
import { captivePortal } from './captivePortal.ts';
import type { Uplink } from './uplink.ts';

const TIMEOUT_MS = 3_000;
const MAX_URI = 1024;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_BODY_BYTES = 16 * 1024;
/** RFC 8908 4.1. */
const TYPE = 'application/captive+json';

/** RFC 8908 5; other members are passed over. */
const Said = z.object({ captive: z.boolean(), 'user-portal-url': z.string().optional() });

/** Where to ask, or undefined: it says that there is no portal (RFC 8910 2), or cannot be asked. Pure. */
export function portalApiUrl(uri: string): URL | undefined {
  return uri.length <= MAX_URI ? httpsUrl(uri) : undefined;
}

/** What it says, where that is that the line is captive; throws model/invalid. Pure. */
export function judgePortalApi(
  body: string,
  uplink: Pick<Uplink, 'ifname' | 'address'>,
): BranchboxError | undefined {
  const said = decodeJson(Said, body, 'The answer of a captive portal');
  if (!said.captive) return undefined;
  // RFC 8908 5: it is reached over TLS. Another one is none that an installer is sent to.
  const page = httpsUrl(said['user-portal-url'] ?? '');
  return captivePortal(uplink, 'says so itself', page?.href);
}

/** Resolves to the portal, or to undefined where it says that it is none, or is not proved to say anything. */
export async function askPortalApi(
  dialer: Pick<UplinkDialer, 'resolve'>,
  uplink: Uplink,
  outer: AbortSignal,
  authorities?: string,
): Promise<BranchboxError | undefined> {
  const url = uplink.portalApi === undefined ? undefined : portalApiUrl(uplink.portalApi);
  if (url === undefined) return undefined;
  const signal = AbortSignal.any([outer, AbortSignal.timeout(TIMEOUT_MS)]);
  try {
    const name = url.hostname.replace(/^\[|\]$/g, '');
    const [address] = await dialer.resolve(name, uplink);
    if (address === undefined || signal.aborted) return undefined;
    const body = await get(url, name, address, { uplink, signal, authorities });
    return body === undefined ? undefined : judgePortalApi(body, uplink);
  } catch (thrown) {
    outer.throwIfAborted();
    // Silence, a certificate of nobody, nonsense: all the same, nothing was said.
    if (thrown instanceof Error) return undefined;
    throw thrown;
  }
}

interface Asking {
  readonly uplink: Uplink;
  readonly signal: AbortSignal;
  readonly authorities: string | undefined;
}

/** undefined: another answer than this API's. Redirects are one, and not followed. */
function get(
  url: URL,
  name: string,
  address: string,
  { uplink, signal, authorities }: Asking,
): Promise<string | undefined> {
  const { promise, resolve, reject } = Promise.withResolvers<string | undefined>();
  const asked = request({
    host: address,
    port: url.port === '' ? 443 : Number(url.port),
    localAddress: uplink.address,
    servername: /[:]|^[\d.]+$/.test(name) ? '' : name,
    ...(authorities !== undefined && { ca: authorities }),
    rejectUnauthorized: true,
    minVersion: 'TLSv1.2',
    agent: false,
    maxHeaderSize: MAX_HEADER_BYTES,
    path: `${url.pathname}${url.search}`,
    headers: { host: url.host, accept: TYPE, connection: 'close' },
    signal,
  });
  asked.once('error', reject);
  asked.once('response', (response) => {
    const type = (response.headers['content-type'] ?? '').split(';', 1)[0]?.trim().toLowerCase();
    if (response.statusCode !== 200 || type !== TYPE) {
      resolve(undefined);
      asked.destroy();
      return;
    }
    const chunks: Buffer[] = [];
    let sizeBytes = 0;
    response.on('error', reject);
    response.on('data', (chunk: Buffer) => {
      sizeBytes += chunk.length;
      chunks.push(chunk);
      if (sizeBytes <= MAX_BODY_BYTES) return;
      resolve(undefined);
      asked.destroy();
    });
    response.on('end', () => resolve(Buffer.concat(chunks).toString('utf8')));
  });
  asked.end();
  return promise;
}

function httpsUrl(text: string): URL | undefined {
  if (!URL.canParse(text)) return undefined;
  const url = new URL(text);
  const isPlain = url.username === '' && url.password === '';
  return url.protocol === 'https:' && isPlain && url.hostname !== '' ? url : undefined;
}
