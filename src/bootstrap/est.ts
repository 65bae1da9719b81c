/**
 * Owns the client of EST (RFC 7030, errata and clarifications RFC 8951): CA certificates, enrolment, renewal.
 * Does not own keys nor files (enrol.ts). Keys never leave the box, so there is no serverkeygen.
 */
import type { TLSSocket } from 'node:tls';
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import type { Certificate } from '../pki/certificate.ts';
import { parseCertsOnly } from '../pki/cms.ts';
import type { RequestDemands } from '../pki/request.ts';
import { channelBinding } from '../system/channelBinding.ts';
import { type CsrDemands, csrDemands } from './csrAttributes.ts';
import { type Server, serverName } from './discover.ts';
import {
  type Answer,
  type Body,
  describeStatus,
  type Exchange,
  type Https,
  type PeerJudge,
  refused,
  type TlsIdentity,
} from './https.ts';
import type { Uplink } from './uplink.ts';

/** A few certificates in base64. */
const MAX_ANSWER_BYTES = 128 * 1024;
/** RFC 7030 4.2.3: Retry-After is asked of a 202; where it is missing, a minute. */
const DEFAULT_RETRY_MS = 60_000;

export interface EstClient {
  cacerts(uplink: Uplink, identity: TlsIdentity, signal: AbortSignal): Promise<readonly Certificate[]>;
  /**
   * Throws bootstrap/pending with `retryAfterMs` where somebody must approve first; `asksForCode` of its fields says
   * that an activation code would help, `codeRefused` that the one sent was not taken.
   */
  enrol(options: {
    readonly operation: 'simpleenroll' | 'simplereenroll';
    readonly request: Uint8Array;
    /** The same with what the server's attributes ask for. */
    readonly requestMeeting: (demands: RequestDemands) => Promise<Uint8Array>;
    readonly uplink: Uplink;
    readonly identity: TlsIdentity;
    /** The installer's code, as credentials of HTTP Basic. */
    readonly code?: Secret | undefined;
    readonly signal: AbortSignal;
  }): Promise<readonly Certificate[]>;
}

/** RFC 7030 3.2.1: within one origin they are followed; one that goes in a circle ends here. */
const MAX_REDIRECTS = 3;
const REDIRECTS: readonly number[] = [301, 302, 307, 308];

/** Path of a redirect that stays at the server that proved itself; anywhere else nobody vouched for. Pure. */
function pathWithin({ server, path }: Exchange, { status, location }: Answer): string | undefined {
  const asked = `https://${serverName(server)}${path}`;
  if (location === undefined || !REDIRECTS.includes(status) || !URL.canParse(location, asked)) {
    return undefined;
  }
  const target = new URL(location, asked);
  return target.origin === new URL(asked).origin ? `${target.pathname}${target.search}` : undefined;
}

export function createEstClient(options: {
  readonly https: Https;
  readonly est: Owner['est'];
  readonly peer: PeerJudge;
}): EstClient {
  const { est, peer } = options;
  const https: Https = async (exchange, signal) => {
    let asked = exchange;
    let answer = await options.https(asked, signal);
    for (let hops = 0; hops < MAX_REDIRECTS; hops += 1) {
      const path = pathWithin(asked, answer);
      if (path === undefined) break;
      asked = { ...exchange, path };
      answer = await options.https(asked, signal);
    }
    return answer;
  };
  const server: Server = { host: est.host, port: est.port };
  const base = `/.well-known/est${est.label === undefined ? '' : `/${encodeURIComponent(est.label)}`}`;
  const reading = (what: string, accept: string, uplink: Uplink, identity: TlsIdentity): Exchange => ({
    server,
    uplink,
    identity,
    peer,
    method: 'GET',
    path: `${base}/${what}`,
    accept,
    maxBytes: MAX_ANSWER_BYTES,
  });

  return {
    async cacerts(uplink, identity, signal) {
      const exchange = reading('cacerts', 'application/pkcs7-mime', uplink, identity);
      return certificatesOf(exchange, await https(exchange, signal));
    },
    async enrol({ operation, request, requestMeeting, uplink, identity, code, signal }) {
      const exchange: Exchange = {
        server,
        uplink,
        identity,
        peer,
        method: 'POST',
        path: `${base}/${operation}`,
        accept: 'application/pkcs7-mime',
        body: bodyOf(request),
        maxBytes: MAX_ANSWER_BYTES,
        basic: code,
      };
      let answer = await https(exchange, signal);
      let why = '';
      if (mayBlameRequest(answer)) {
        const demands = await demandsOf(exchange, signal);
        const { unmet, namesSession, extensions } = demands;
        if ((namesSession || extensions.length > 0) && unmet.length === 0) {
          // Each exchange has a session of its own: which one is known only here.
          const body = async (socket: TLSSocket): Promise<Body> =>
            bodyOf(
              await requestMeeting({
                ...(namesSession && { challengePassword: bindingOf(socket) }),
                extensions,
              }),
            );
          answer = await https({ ...exchange, body }, signal);
        }
        why = unmetOf(demands);
      }
      const pending = pendingOf(answer, code !== undefined);
      if (pending !== undefined) throw pending;
      if (mayBlameRequest(answer)) {
        const what = describeStatus(answer.status, wordsOf(answer));
        throw refused(exchange, `${what}${why}`, answer);
      }
      return certificatesOf(exchange, answer);
    },
  };

  /**
   * Why the server may have refused the request. Asked only after a refusal: a box has one kind of request to send, and a
   * thousand boxes need not make another exchange each.
   */
  async function demandsOf({ uplink, identity }: Exchange, signal: AbortSignal): Promise<CsrDemands> {
    const exchange = reading('csrattrs', 'application/csrattrs', uplink, identity);
    try {
      const answer = await https(exchange, signal);
      if (answer.status !== 200 || answer.contentType !== 'application/csrattrs') return NO_DEMANDS;
      return csrDemands(derOf(exchange, answer));
    } catch (thrown) {
      // The refusal itself is told then.
      if (thrown instanceof BranchboxError) return NO_DEMANDS;
      throw thrown;
    }
  }
}

/** Why the server gives no certificate yet; undefined where the answer is no such thing. Pure. */
function pendingOf(answer: Answer, withCode: boolean): BranchboxError | undefined {
  const retryAfterMs = answer.retryAfterMs ?? DEFAULT_RETRY_MS;
  if (answer.status === 202) {
    return new BranchboxError('bootstrap/pending', {
      message: answer.asksForBasic
        ? 'The enrolment server waits for the activation code, or for an approval of this box'
        : 'The enrolment server waits for an approval of this box',
      mend: 'an operator approves the box at the controller',
      fields: { retryAfterMs, asksForCode: answer.asksForBasic },
    });
  }
  if (answer.status !== 401) return undefined;
  if (withCode) {
    return new BranchboxError('bootstrap/pending', {
      message: 'The enrolment server did not take the activation code',
      mend: 'type the code again, or have an operator make a new one',
      fields: { retryAfterMs, asksForCode: true, codeRefused: (wordsOf(answer) ?? '').slice(0, 1000) },
    });
  }
  // RFC 7030 3.2.3: a server that wants HTTP's credentials beside the certificate says so by a challenge.
  if (!answer.asksForBasic) return undefined;
  return new BranchboxError('bootstrap/pending', {
    message: 'The enrolment server waits for the activation code of this box',
    mend: 'the installer types the code at the page of this box',
    fields: { retryAfterMs, asksForCode: true },
  });
}

const NO_DEMANDS: CsrDemands = { unmet: [], namesSession: false, extensions: [], otherExtensions: [] };

const bindingOf = (socket: TLSSocket): string =>
  Buffer.from(channelBinding(socket, 'client') ?? []).toString('base64');

/**
 * Whether the request may have been refused for its content. RFC 7030 has no status for one that does not name the session:
 * libest's server answers 401, without the challenge that would ask for a password.
 */
const mayBlameRequest = ({ status, asksForBasic }: Answer): boolean =>
  status === 400 || status === 403 || (status === 401 && !asksForBasic);

function unmetOf({ unmet, otherExtensions }: CsrDemands): string {
  const keys =
    unmet.length === 0
      ? ''
      : `. It asks for ${unmet.join(', ')}, and this box has a key on P-256 and signs by ecdsa-with-SHA256`;
  const extensions =
    otherExtensions.length === 0
      ? ''
      : `. It asks for extensions of unknown kind or without their value, which this box puts into no request: ${otherExtensions.slice(0, MAX_NAMED).join(', ')}`;
  return keys + extensions;
}

/** Of what a server lists without end. */
const MAX_NAMED = 8;

/**
 * libest's server answers 400 to base64 that does not end in a newline. RFC 8951 3.1 has the transfer encoding ignored; servers
 * of RFC 7030 (4.2.1) refuse a request without one.
 */
const bodyOf = (request: Uint8Array): Body => ({
  contentType: 'application/pkcs10',
  transferEncoding: 'base64',
  text: `${Buffer.from(request).toString('base64')}\n`,
});

/** RFC 7030 4.2.3: plain text is for a person. The server proved itself; the words are cut before they show. */
const wordsOf = ({ contentType, body }: Answer): string | undefined =>
  contentType === 'text/plain' ? Buffer.from(body).toString('utf8') : undefined;

function certificatesOf(exchange: Exchange, answer: Answer): readonly Certificate[] {
  if (answer.status !== 200) throw refused(exchange, describeStatus(answer.status, wordsOf(answer)), answer);
  if (answer.contentType !== 'application/pkcs7-mime') {
    throw refused(exchange, `answered with ${answer.contentType || 'no content type'}, not certificates`);
  }
  return parseCertsOnly(derOf(exchange, answer));
}

/** A SEQUENCE. As the character `0` of base64 it begins a byte of 0xD0 or more, which is neither of the two answers. */
const DER_BEGINS = 0x30;

/**
 * RFC 8951 3.1: base64 whatever Content-Transfer-Encoding says, with any white space. DER as it is, which some servers send, can
 * be nothing else.
 */
function derOf(exchange: Exchange, { body }: Answer): Uint8Array {
  if (body[0] === DER_BEGINS) return body;
  const text = Buffer.from(body).toString('latin1').replaceAll(/\s+/g, '');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text)) throw refused(exchange, 'answered with what is not base64');
  return Buffer.from(text, 'base64');
}
