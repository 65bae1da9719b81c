/**
 * Owns the client of RFC 8572: asking a bootstrap server, following its redirects, reporting progress.
 * Does not own which server is asked (discover.ts) nor judging what it says (onboarding.ts).
 */
import type { BoxClaims } from '../model/assignment.ts';
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError, type Problem } from '../model/errors.ts';
import {
  CLAIMS_WANTED,
  type GetBootstrappingDataRequest,
  GetBootstrappingDataResponse,
  MAX_REDIRECT_SERVERS,
  type ProgressType,
  type ReportProgressRequest,
} from '../model/sztp.ts';
import type { Voucher } from '../pki/voucher.ts';
import { isPage, portalInstead } from './captivePortal.ts';
import type { TrustedClock } from './clockFloor.ts';
import type { RedirectTarget } from './conveyedInformation.ts';
import type { RunningOs } from './demands.ts';
import { rotate, type Server, serverName } from './discover.ts';
import type { FactoryIdentity } from './factory.ts';
import { type Answer, describeStatus, type Https, type PeerJudge, refused } from './https.ts';
import { judge } from './onboarding.ts';
import { strictPeer } from './peer.ts';
import { createRefusalReports } from './refusalReports.ts';
import { createOperations } from './restconfRoot.ts';
import { askedAfterMs, RETRY_AFTER_MS, retriedAfter } from './retry.ts';
import { moreTelling, withProblems } from './telling.ts';
import type { Uplink } from './uplink.ts';
import { decodeBody, firstError, invokeRpc, isReadable } from './yangBodies.ts';

/** RFC 8572 5.6 lets a client stop after 10: a loop or a maze. */
const MAX_REDIRECTS = 10;
/** The candidate itself, and as many as one redirect may list: each may take an exchange's whole time. */
const MAX_SERVERS_ASKED = 1 + MAX_REDIRECT_SERVERS;
/**
 * For one candidate and all that it leads to: nobody vouched for it, and those behind it must have their turn. Three servers
 * that stay silent behind their handshake fit in.
 */
const CANDIDATE_TIMEOUT_MS = 120_000;
/** The largest nonce of RFC 8366; the voucher brings it back. */
const NONCE_BYTES = 32;

export interface Onboarded {
  readonly owner: Owner;
  readonly voucher: Voucher;
  /** Who served it, after redirects. */
  readonly server: Server;
  /** How much it wants to hear (RFC 8572 7.3). */
  readonly reporting: 'minimal' | 'verbose';
  /** Of the redirects on the way, what could not be asked. */
  readonly passedOver: readonly Problem[];
}

export interface SztpClient {
  /**
   * Asks one server, follows its redirects over the same uplink; throws the most telling refusal. `onProof`: somebody on that
   * way is known by now (by a voucher for this box, or as the server that a signed redirect named), whatever comes of it.
   */
  onboard(server: Server, uplink: Uplink, signal: AbortSignal, onProof?: () => void): Promise<Onboarded>;
  /** To a server that `peer` proves to be the owner's; never to an untrusted one. */
  report(options: {
    readonly server: Server;
    readonly uplink: Uplink;
    readonly peer: PeerJudge;
    readonly progress: ProgressType;
    readonly message: string;
    readonly signal: AbortSignal;
  }): Promise<void>;
}

export function createSztpClient(options: {
  readonly https: Https;
  readonly factory: FactoryIdentity;
  readonly clock: TrustedClock;
  readonly randomBytes: (count: number) => Uint8Array;
  readonly os: RunningOs;
  /** What the box says of itself, for a server that asks. Default: nobody at all is told anything of the box, nor a refusal. */
  readonly claims?: () => Promise<BoxClaims>;
  readonly candidateTimeoutMs?: number;
}): SztpClient {
  const { factory, clock, os, candidateTimeoutMs = CANDIDATE_TIMEOUT_MS } = options;
  const operations = createOperations(options.https);
  const tellRefusal = createRefusalReports(clock);
  /** The candidate whose time ran out last, and how far into its list of servers: the next round begins behind that. */
  let ranOut: { readonly candidate: string; readonly at: number } | undefined;

  async function ask(
    target: RedirectTarget,
    uplink: Uplink,
    signal: AbortSignal,
    onProof: () => void,
    claims?: BoxClaims,
  ) {
    const nonce = options.randomBytes(NONCE_BYTES);
    const body: GetBootstrappingDataRequest = {
      'ietf-sztp-bootstrap-server:input': {
        'signed-data-preferred': [null],
        'hw-model': factory.model,
        'os-name': os.name,
        'os-version': os.version,
        nonce: Buffer.from(nonce).toString('base64'),
        ...(claims && { 'branchbox-sztp:claims': claims }),
      },
    };
    const asking = {
      server: target.server,
      uplink,
      identity: factory.tls,
      // A server that a signed redirect vouched for must prove itself; any other session is nobody's.
      peer: target.anchors && strictPeer({ anchors: target.anchors, nowMs: () => clock.nowMs() }),
    };
    const { answer, path } = await invokeRpc(operations, 'get-bootstrapping-data', asking, body, signal);
    const exchange = { ...asking, path };
    if (target.anchors !== undefined) onProof();
    if (answer.status === 404 && claims === undefined && options.claims && wantsClaims(answer)) {
      return ask(target, uplink, signal, onProof, await options.claims());
    }
    const portal = portalInstead(answer, target.server, uplink);
    if (portal !== undefined) throw portal;
    if (answer.status !== 200) throw refused(exchange, refusalOf(answer), answer);
    if (!isReadable(answer)) {
      throw refused(exchange, `answered with ${answer.contentType || 'no content type'}`);
    }
    const what = `The answer of ${serverName(target.server)}`;
    const response = decodeBody(GetBootstrappingDataResponse, answer, what);
    const output = response['ietf-sztp-bootstrap-server:output'];
    const verdict = await judge(output, { factory, nonce, clock, os, anchors: target.anchors });
    // Of unsigned information a bare redirect alone comes so far.
    if (verdict.kind !== 'redirect' || verdict.targets.some(({ anchors }) => anchors !== undefined))
      onProof();
    const reporting = output['reporting-level'] ?? 'minimal';
    if (verdict.kind === 'refused') {
      const { report } = client;
      if (options.claims) {
        // Whatever becomes of telling: what counts is why.
        await tellRefusal(verdict, { server: target.server, uplink, reporting, report, signal }).catch(
          (thrown: unknown) => {
            if (!signal.aborted) throw thrown;
          },
        );
      }
      throw verdict.why;
    }
    return { ...verdict, reporting };
  }

  const client: SztpClient = {
    async onboard(first, uplink, signal, onProof = () => {}) {
      const queue: RedirectTarget[] = [{ server: first, anchors: undefined }];
      const limit = AbortSignal.timeout(candidateTimeoutMs);
      const within = AbortSignal.any([signal, limit]);
      const heldUp = (what: string): BranchboxError =>
        new BranchboxError('bootstrap/refused', { message: `${serverName(first)} ${what}` });
      let redirects = 0;
      let asked = 0;
      let inFirstList = 0;
      let ranOutNow = false;
      let telling: BranchboxError | undefined;
      const passedOver: Problem[] = [];
      /** A server's own refusal tells more than that there were too many of them. */
      const tellAsWell = (late: BranchboxError): void =>
        void (telling = telling === undefined ? late : moreTelling(late, telling));
      for (let target = queue.shift(); target !== undefined; target = queue.shift()) {
        if (asked === MAX_SERVERS_ASKED) {
          tellAsWell(heldUp(`led to more than ${MAX_SERVERS_ASKED} servers`));
          break;
        }
        asked += 1;
        if (redirects === 1) inFirstList += 1;
        try {
          const verdict = await ask(target, uplink, within, onProof);
          if (verdict.kind === 'owner') return { ...verdict, server: target.server, passedOver };
          for (const { path, message } of verdict.passedOver)
            passedOver.push({ path: `${serverName(target.server)} ${path}`, message });
          redirects += 1;
          if (redirects > MAX_REDIRECTS) {
            throw heldUp(`led to more than ${MAX_REDIRECTS} redirects`);
          }
          // Its servers next, in its order, and no others: a redirect means "not me". Those that took all the time of the
          // round before come last.
          const begin = redirects === 1 && ranOut?.candidate === serverName(first) ? ranOut.at : 0;
          queue.splice(0, queue.length, ...rotate(verdict.targets, begin));
          if (redirects === 1) inFirstList = begin;
        } catch (thrown) {
          if (thrown instanceof BranchboxError)
            telling = moreTelling(telling, redirects > 0 ? heldLess(thrown) : thrown);
          else if (thrown !== limit.reason) throw thrown;
          if (limit.aborted) {
            const seconds = candidateTimeoutMs / 1000;
            ranOut = { candidate: serverName(first), at: inFirstList };
            ranOutNow = true;
            tellAsWell(heldUp(`and the servers it led to took more than ${seconds} seconds`));
            break;
          }
        }
      }
      // Each had its turn: the next round is in the owner's order again.
      if (!ranOutNow && ranOut?.candidate === serverName(first)) ranOut = undefined;
      throw withProblems(
        telling ?? new BranchboxError('internal', { message: 'No server was asked' }),
        passedOver,
      );
    },

    async report({ server, uplink, peer, progress, message, signal }) {
      const body: ReportProgressRequest = {
        'ietf-sztp-bootstrap-server:input': { 'progress-type': progress, message },
      };
      const asking = { server, uplink, identity: factory.tls, peer };
      const { answer, path } = await invokeRpc(operations, 'report-progress', asking, body, signal);
      if (answer.status < 200 || answer.status > 299) {
        throw refused({ server, uplink, path }, refusalOf(answer), answer);
      }
    },
  };
  return client;
}

/** With the server's own words where it has some. */
function refusalOf(answer: Answer): string {
  // Of the 4xx, which a box is at fault for: behind a server that is down a page may be its balancer's.
  if (isPage(answer.contentType) && answer.status < 500) {
    return `answered ${answer.status} with a page, as no bootstrap server does. Is there a filtering firewall or a captive portal on the way?`;
  }
  const error = firstError(answer);
  const said = [error?.['error-path'], error?.['error-message']].filter((part) => part !== undefined);
  return describeStatus(answer.status, said.join(': '));
}

/**
 * "Come back later" of a server behind a redirect is said by that one alone, and the candidate leads to others as well: as
 * long as a stranger may ask for.
 */
function heldLess(failure: BranchboxError): BranchboxError {
  const asked = askedAfterMs(failure);
  return asked !== undefined && asked > RETRY_AFTER_MS.stranger
    ? retriedAfter(failure, RETRY_AFTER_MS.stranger)
    : failure;
}

const wantsClaims = (answer: Answer): boolean => firstError(answer)?.['error-app-tag'] === CLAIMS_WANTED;
