/**
 * Owns what the owner revoked, as far as the box knows: the owner's revocation lists, fetched from its device API, kept on disk
 * and fetched again in time. Does not own which of them are taken (listsToTake.ts), nor judging a server by them (peer.ts,
 * pki/tlsPeer).
 *
 * An owner who says that it has a list is told nothing before the box has it. In service the last one goes on to count, however
 * long it is overdue: a signer that is away must not cut boxes off from their controller. None is ever taken that is older than
 * the one on disk.
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import { minuteOf } from '../model/moment.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import {
  MAX_LISTS_CHARS,
  readRevocationLists,
  refuseRevoked,
  renderRevocationLists,
  type SignedList,
} from '../pki/crlVerify.ts';
import type { Files, Logger } from '../system/ports.ts';
import { createSerialQueue } from '../system/serialQueue.ts';
import type { TrustedClock } from './clockFloor.ts';
import { serverName } from './discover.ts';
import { describeStatus, type Exchange, type Https, refused, type TlsIdentity } from './https.ts';
import { renderProblem } from './renderStatus.ts';
import type { Notices } from './notices.ts';
import { overUplinks } from './overUplinks.ts';
import { isOf, listsToTake, sameIssuer } from './listsToTake.ts';
import { strictPeer } from './peer.ts';
import type { Uplinks } from './uplink.ts';

export interface OwnerRevocations {
  /** Those on disk; none where there are none, or they cannot be read. */
  lists(): Promise<readonly SignedList[]>;
  /** Resolves once a list of this owner is on disk, or at once where the owner says that it has none. Throws why not. */
  require(owner: Owner, identity: TlsIdentity, signal: AbortSignal): Promise<void>;
  /** Fetches them again. A failure is told (notices) and tried again later; rejects only at the signal. */
  refresh(owner: Owner, identity: () => Promise<TlsIdentity>, signal: AbortSignal): Promise<void>;
  /** Time until the next refresh; infinite for an owner without a list. */
  dueInMs(owner: Owner): number;
  /** Removes the lists of everybody but this owner. */
  forgetOthers(owner: Owner): Promise<void>;
}

const HOUR_MS = 3_600_000;
/** As often as a box asks how it stands (standingLooks.ts): what was revoked is known after a day and a half. */
const EVERY_MS = 24 * HOUR_MS;
/** Half of a list's life, spread over the next fifth, where that is sooner. */
const RENEW_FROM = 0.5;
const RENEW_SPREAD = 0.2;
/** After a refresh that failed, and at least between two. */
const AGAIN_MS = HOUR_MS / 4;

export function createOwnerRevocations(options: {
  readonly files: Pick<Files, 'readText' | 'writeDurable' | 'remove'>;
  readonly path: string;
  readonly https: Https;
  readonly uplinks: Uplinks;
  /** Whose box it is now: in a move its lists are kept beside those of the owner that is asked. */
  readonly present: () => Promise<Owner | undefined>;
  readonly clock: TrustedClock;
  readonly monotonicMs: () => number;
  /** In [0, 1). */
  readonly random: () => number;
  readonly notices: Pick<Notices, 'set'>;
  readonly log: Logger;
}): OwnerRevocations {
  const { files, path, https, uplinks, clock, monotonicMs, random, notices, log } = options;
  /** Monotonic; the first refresh of a start is due at once. */
  let nextAtMs = Number.NEGATIVE_INFINITY;

  async function lists(): Promise<readonly SignedList[]> {
    try {
      const text = await files.readText(path, MAX_LISTS_CHARS);
      return text === undefined ? [] : readRevocationLists(text);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.error('the kept revocation lists cannot be read, there are none', { path, code: thrown.code });
      return [];
    }
  }

  async function write(next: readonly SignedList[], before: readonly SignedList[]): Promise<void> {
    if (renderRevocationLists(next) === renderRevocationLists(before)) return;
    await files.writeDurable(path, renderRevocationLists(next), 0o644);
    for (const { number, revoked } of next) {
      log.info('revocation list of the owner kept', { number, entries: revoked.size });
    }
  }

  async function fetch(
    owner: Owner,
    where: string,
    identity: TlsIdentity,
    signal: AbortSignal,
  ): Promise<void> {
    const anchors = parseCertificates(owner.domainAnchorPem);
    let server: readonly Certificate[] = [];
    const peer = strictPeer({
      anchors,
      nowMs: () => clock.nowMs(),
      lists,
      onProved: (chain) => (server = chain),
    });
    await overUplinks(await uplinks.all(), async (uplink) => {
      const exchange: Exchange = {
        server: owner.device,
        uplink,
        identity,
        peer,
        method: 'GET',
        path: where,
        accept: 'application/x-pem-file',
        maxBytes: MAX_LISTS_CHARS,
      };
      const answer = await https(exchange, signal);
      if (answer.status !== 200) {
        const what = `${describeStatus(answer.status)} when it was asked for the owner's list of revoked servers`;
        throw refused(exchange, what, answer);
      }
      const came = await take(owner, Buffer.from(answer.body).toString('latin1'), [
        ...anchors,
        ...server.slice(1),
      ]);
      // After it is on disk: a server that is on the list which it hands out is refused from here on, too.
      refuseRevoked(serverName(owner.device), server, came);
    });
  }

  /** Durable when it resolves. Throws where the owner's CAs signed none of them, or one of them is not to be taken now. */
  async function take(
    owner: Owner,
    text: string,
    cas: readonly Certificate[],
  ): Promise<readonly SignedList[]> {
    const before = await lists();
    const came = listsToTake(text, { cas, before, clock });
    const present = await options.present();
    const stay = before.filter(
      (kept) =>
        !came.some((list) => sameIssuer(list, kept)) &&
        (isOf(kept, owner) || (present !== undefined && isOf(kept, present))),
    );
    await write([...came, ...stay], before);
    return came;
  }

  const keptOf = async (owner: Owner): Promise<readonly SignedList[]> =>
    (await lists()).filter((list) => isOf(list, owner));

  function waitAfter(kept: readonly SignedList[], failed: boolean): void {
    const ends = kept.map(
      ({ thisUpdateMs, nextUpdateMs }) =>
        thisUpdateMs + (nextUpdateMs - thisUpdateMs) * (RENEW_FROM + RENEW_SPREAD * random()) - clock.nowMs(),
    );
    const spread = 0.75 + random() / 2;
    const waitMs = failed ? AGAIN_MS * spread : Math.max(AGAIN_MS, Math.min(EVERY_MS * spread, ...ends));
    nextAtMs = monotonicMs() + waitMs;
  }

  async function required(owner: Owner, identity: TlsIdentity, signal: AbortSignal): Promise<void> {
    const { revocationListsPath } = owner;
    if (revocationListsPath === undefined || (await keptOf(owner)).length > 0) return;
    await fetch(owner, revocationListsPath, identity, signal);
    waitAfter(await keptOf(owner), false);
  }

  async function refreshed(
    owner: Owner,
    identity: () => Promise<TlsIdentity>,
    signal: AbortSignal,
  ): Promise<void> {
    const { revocationListsPath } = owner;
    if (revocationListsPath === undefined) return;
    let failure: BranchboxError | undefined;
    try {
      await fetch(owner, revocationListsPath, await identity(), signal);
    } catch (thrown) {
      signal.throwIfAborted();
      if (!(thrown instanceof BranchboxError) || thrown.code === 'internal') throw thrown;
      failure = thrown;
    }
    const kept = await keptOf(owner);
    waitAfter(kept, failure !== undefined);
    notices.set('revocations', failure === undefined ? [] : told(failure, kept));
    if (failure === undefined) return;
    log.warn("the owner's revocation list could not be renewed", {
      code: failure.code,
      problem: failure.message,
    });
  }

  function told(failure: BranchboxError, kept: readonly SignedList[]): readonly string[] {
    const ended = kept.map(({ nextUpdateMs }) => nextUpdateMs).filter((atMs) => atMs < clock.nowMs());
    const isWorthALook = failure.code.startsWith('pki/') || kept.length === 0 || ended.length > 0;
    if (!isWorthALook) return [];
    const held =
      kept.length === 0
        ? 'this box has none, and cannot know which servers were revoked'
        : ended.length > 0
          ? `the one that this box has ended ${minuteOf(Math.min(...ended))} and goes on to count`
          : 'the one that this box has goes on to count';
    return [
      `the owner's revocation list could not be renewed: ${renderProblem(failure)}; ${held}, and it is tried again`,
    ];
  }

  // One at a time: the next one need not fetch again what the one before it fetched.
  const inTurn = createSerialQueue();
  return {
    lists,
    require: (owner, identity, signal) => inTurn(() => required(owner, identity, signal)),
    refresh: (owner, identity, signal) => inTurn(() => refreshed(owner, identity, signal)),
    dueInMs: ({ revocationListsPath }) =>
      revocationListsPath === undefined ? Number.POSITIVE_INFINITY : Math.max(0, nextAtMs - monotonicMs()),
    forgetOthers: (owner) =>
      inTurn(async () => {
        const before = await lists();
        if (before.length === 0) return;
        const stay = before.filter((list) => isOf(list, owner));
        if (stay.length > 0) await write(stay, before);
        else await files.remove(path);
      }),
  };
}
