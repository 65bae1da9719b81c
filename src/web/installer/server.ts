/**
 * Owns the page's HTTP server: its caps, its headers, and what each kind of request gets.
 * Does not own the words (page.ts), nor judging a code: that is the enrolment server's.
 * Whoever is on a LAN port may speak to it, so everything has a cap and nothing that was sent is logged.
 */
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import { ActivationLinkId, ActivationOffer, isInstallerAddress, plainCode } from '../../model/installer.ts';
import { asBranchboxError } from '../../model/errors.ts';
import type { Logger } from '../../system/ports.ts';
import type { FormTokens } from './formToken.ts';
import { renderCodePage, renderNotice, renderStatusPage, STYLE_HASH, type View } from './page.ts';
import { type Asked, readRequest } from './requests.ts';

/** A phone's browser opens up to six connections. */
const MAX_CONNECTIONS = 64;
const MAX_CONNECTIONS_OF_ONE = 12;
const MAX_HEADER_BYTES = 8 * 1024;
const MAX_BODY_BYTES = 1024;
/** Of a body that is refused; who sends more may find the connection cut. */
const MAX_DISCARDED_BYTES = 1024 * 1024;
const LIMITS = {
  maxHeaderSize: MAX_HEADER_BYTES,
  headersTimeout: 5_000,
  requestTimeout: 10_000,
  keepAliveTimeout: 2_000,
  connectionsCheckingInterval: 2_000,
} as const;
/** Of connections that say nothing at all. */
const SILENCE_MS = 15_000;
/** Codes sent by all on the LAN together: as fast as somebody types, no faster. */
const OFFERS = { burst: 10, refillMs: 3_000 } as const;

/** What became of an offer to the identity process. */
export type Offered = 'held' | 'busy';

export interface PageParts {
  readonly look: () => Promise<Pick<View, 'progress' | 'ports' | 'uplinkTest'>>;
  /** Whether the page has anything to say: not once the box is enrolled. */
  readonly isOpen: (progress: View['progress']) => boolean;
  readonly offer: (offer: ActivationOffer) => Promise<Offered>;
  readonly tokens: FormTokens;
  readonly nowMs: () => number;
  readonly monotonicMs: () => number;
  readonly log: Logger;
  /** Which own addresses are answered on; by default those of LAN ports. */
  readonly isOwnAddress?: (address: string) => boolean;
}

interface Answer {
  readonly status: number;
  readonly body: string;
  readonly headers?: Readonly<Record<string, string>>;
}

export function createPageServer(parts: PageParts): Server {
  const isOwnAddress = parts.isOwnAddress ?? isInstallerAddress;
  const connectionsOf = new Map<string, number>();
  const takeOffer = createOfferLimit(parts.monotonicMs);
  const server = createServer(LIMITS, (request, response) => {
    answer(parts, takeOffer, request)
      .catch((thrown: unknown): Answer => {
        parts.log.warn('the page could not be made', { code: asBranchboxError(thrown).code });
        return notice(503, 'one moment', 'The box cannot answer right now. Try again in a minute.');
      })
      .then((made) => send(request, response, made))
      .catch(() => response.destroy());
  });
  server.maxConnections = MAX_CONNECTIONS;
  server.maxRequestsPerSocket = 100;
  server.setTimeout(SILENCE_MS);
  server.on('connection', (socket) => {
    const own = ipv4Of(socket.localAddress);
    const other = socket.remoteAddress ?? '';
    const count = (connectionsOf.get(other) ?? 0) + 1;
    // The firewall lets nobody else in; this holds where there is none.
    if (!isOwnAddress(own) || count > MAX_CONNECTIONS_OF_ONE) {
      socket.destroy();
      return;
    }
    connectionsOf.set(other, count);
    socket.once('close', () => {
      const left = (connectionsOf.get(other) ?? 1) - 1;
      if (left > 0) connectionsOf.set(other, left);
      else connectionsOf.delete(other);
    });
  });
  server.on('clientError', (_error, socket) => socket.destroy());
  // accept(2) failed, for want of descriptors or memory: the next one need not.
  server.on('error', (error) => parts.log.error('the page took no connection', { error }));
  return server;
}

async function answer(parts: PageParts, takeOffer: () => boolean, request: IncomingMessage): Promise<Answer> {
  const ownAddress = ipv4Of(request.socket.localAddress);
  const remoteAddress = request.socket.remoteAddress ?? '';
  const header = (name: string): string | undefined => [request.headers[name]].flat()[0];
  const asked: Asked = readRequest(
    {
      method: request.method ?? '',
      target: request.url ?? '',
      host: request.headers.host,
      origin: request.headers.origin,
      fetchSite: header('sec-fetch-site'),
      contentType: request.headers['content-type'],
    },
    ownAddress,
  );
  if (asked.kind === 'refused') {
    return { ...notice(asked.status, 'not here', asked.sentence), headers: asked.headers ?? {} };
  }
  if (asked.kind === 'elsewhere') return { status: 302, body: '', headers: { Location: asked.location } };
  const { progress, ports, uplinkTest } = await parts.look();
  if (!parts.isOpen(progress)) {
    return notice(404, 'enrolled', 'This box is enrolled: this page is about to go.');
  }
  const form: CodeForm = (status, link, problem) => ({
    status,
    body: renderCodePage({
      token: parts.tokens.make(remoteAddress),
      link,
      problem,
      serial: progress?.serial,
    }),
  });
  switch (asked.kind) {
    case 'status':
      return {
        status: 200,
        body: renderStatusPage({ progress, ports, uplinkTest, nowMs: parts.nowMs(), ownAddress }),
      };
    case 'form':
      return form(200, asked.link);
    case 'offer':
      return await answerOffer(parts, takeOffer, request, { remoteAddress, form });
  }
}

/** The page with the form, and what was wrong with a code that was sent by it. */
type CodeForm = (status: number, link: string | undefined, problem?: string) => Answer;

async function answerOffer(
  parts: PageParts,
  takeOffer: () => boolean,
  request: IncomingMessage,
  { remoteAddress, form }: { readonly remoteAddress: string; readonly form: CodeForm },
): Promise<Answer> {
  const body = await readBody(request);
  if (body === undefined) return notice(413, 'too large', 'A code has at most ten letters and digits.');
  const sent = new URLSearchParams(body);
  const link = ActivationLinkId.safeParse(sent.get('link')).data;
  if (!parts.tokens.holds(sent.get('token') ?? '', remoteAddress)) {
    return form(403, link, 'The form was too old, or not from this page. Type the code again.');
  }
  const offer = ActivationOffer.safeParse({
    code: plainCode(sent.get('code') ?? ''),
    ...(link === undefined ? {} : { link }),
  });
  if (!offer.success) {
    return form(400, link, 'A code has four to ten letters and digits, and never I, O, 0 or 1.');
  }
  if (!takeOffer()) return form(429, link, 'Too many codes were sent. Wait a few seconds and try again.');
  if ((await parts.offer(offer.data)) === 'busy') {
    const problem = 'A code is being checked already. Look how far the box is before you send another.';
    return form(409, link, problem);
  }
  return { status: 303, body: '', headers: { Location: '/' } };
}

function notice(status: number, title: string, sentence: string): Answer {
  return { status, body: renderNotice(title, sentence) };
}

function send(request: IncomingMessage, response: ServerResponse, { status, body, headers }: Answer): void {
  response.writeHead(status, {
    'Content-Type': 'text/html; charset=utf-8',
    'Content-Length': Buffer.byteLength(body),
    'Cache-Control': 'no-store',
    'Content-Security-Policy': `default-src 'none'; style-src 'sha256-${STYLE_HASH}'; form-action 'self'; frame-ancestors 'none'; base-uri 'none'`,
    'Cross-Origin-Resource-Policy': 'same-origin',
    // Not no-referrer: with that a browser names no origin when it sends the form.
    'Referrer-Policy': 'same-origin',
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    // What was not read of a refused request must not be taken for the next one.
    ...(request.complete ? {} : { Connection: 'close' }),
    ...headers,
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** undefined where it is larger than the cap: read to its end first, or the answer would be lost in a reset. */
async function readBody(request: IncomingMessage): Promise<string | undefined> {
  const chunks: Buffer[] = [];
  let sizeBytes = 0;
  for await (const chunk of request as AsyncIterable<Uint8Array>) {
    const bytes = Buffer.from(chunk);
    sizeBytes += bytes.length;
    if (sizeBytes > MAX_DISCARDED_BYTES) return undefined;
    if (sizeBytes <= MAX_BODY_BYTES) chunks.push(bytes);
  }
  return sizeBytes > MAX_BODY_BYTES ? undefined : Buffer.concat(chunks).toString('utf8');
}

/** A bucket that fills by one token at a time. */
function createOfferLimit(monotonicMs: () => number): () => boolean {
  let fullAtMs = 0;
  return () => {
    const nowMs = monotonicMs();
    const nextMs = Math.max(fullAtMs, nowMs) + OFFERS.refillMs;
    if (nextMs - nowMs > OFFERS.burst * OFFERS.refillMs) return false;
    fullAtMs = nextMs;
    return true;
  };
}

/** An IPv4 address as a socket of both families writes it. */
const ipv4Of = (address: string | undefined): string => (address ?? '').replace(/^::ffff:/, '');
