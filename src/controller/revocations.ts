/**
 * Owns that nobody who goes by the revocation list lets in a certificate that no longer counts: which ones those are, a list of
 * them from the signer in time, telling the broker, and ending the living sessions of those boxes.
 * Does not own whether a box counts (admission.ts) nor how a session is ended (broker/).
 */
import { asBranchboxError } from '../model/errors.ts';
import type { RevokedCertificate } from '../pki/crl.ts';
import { REVOCATION_LIST_LABEL, toPemBlock } from '../pki/pem.ts';
import type { Clock, Logger } from '../system/ports.ts';
import { createWaker } from '../system/waker.ts';
import type { Admissions } from './admission.ts';
import type { Broker } from './broker/broker.ts';
import type { SignerClient } from './signer/client.ts';
import type { Store } from './store/store.ts';

export interface RevocationOptions {
  readonly store: Pick<Store, 'records'>;
  readonly admissions: Pick<Admissions, 'standing'>;
  readonly signer: Pick<SignerClient, 'revocationList'>;
  readonly broker: () => Pick<Broker, 'revoke' | 'restart'>;
  /** Of one gateway, at the broker. */
  readonly endSession: (gatewayId: string) => Promise<void>;
  readonly clock: Clock;
  readonly log: Logger;
}

export interface Revocations {
  /** The newest list: DER (RFC 2585's application/pkix-crl), and PEM with that of the CA before where there is one. */
  readonly list: { readonly der: Uint8Array; readonly pem: string };
  /** Why boxes may be let in that should not be; undefined: the broker has the newest list. */
  readonly ailment: string | undefined;
  /** The inventory or the fleet changed. Returns at once; many calls become one round. */
  trigger(): void;
  /** The signer has one more entry of its own: a list with it is signed. Returns at once. */
  listAnew(): void;
  /** Until the signal aborts. */
  run(signal: AbortSignal): Promise<void>;
}

const RETRY_MS = 1_000;
const RETRY_MAX_MS = 30_000;
/** Certificates end and the wall clock may be set: looked at even when nothing was said. */
const LOOK_MS = 6 * 3_600_000;
/** RFC 5280 3.3: an entry stands on one list more after its certificate ended. */
const KEPT_AFTER_END_MS = 10 * 86_400_000;
/**
 * Who finished the TLS handshake before the list was in force has mosquitto's 90 s until its CONNECT must come (tried
 * with 2.0.21), and gets a session by it: the session is ended once more after that.
 */
const LATECOMERS_MS = 100_000;

interface Ending {
  readonly gatewayId: string;
  /** Monotonic. */
  readonly atMs: number;
}

/** Asks the signer for the first list, which the broker needs to start. */
export async function openRevocations(options: RevocationOptions): Promise<Revocations> {
  const { signer, clock, log } = options;
  const waker = createWaker(clock);
  let endings: readonly Ending[] = [];
  let ailment: string | undefined;
  /** Lists that somebody asked for before they were due: how many, and how many of them were signed. */
  let wanted = 0;
  let had = 0;
  // No session is older than the broker, which starts after this.
  let current = await sign((await settle(options)).revoked);

  async function sign(revoked: readonly RevokedCertificate[]) {
    const { der, nextUpdateMs, others } = await signer.revocationList(revoked);
    const nowMs = clock.nowMs();
    log.info('new revocation list', {
      entries: revoked.length,
      nextUpdate: new Date(nextUpdateMs).toISOString(),
    });
    return {
      list: { der, pem: [der, ...others].map((one) => toPemBlock(REVOCATION_LIST_LABEL, one)).join('') },
      about: JSON.stringify(revoked),
      dueAtMs: nowMs + (nextUpdateMs - nowMs) / 2,
      told: false,
    };
  }

  /** Resolves to the milliseconds that looking at all certificates took: the part that grows with the fleet. */
  async function round(): Promise<number> {
    const startedAtMs = clock.monotonicMs();
    const { revoked, holders, newHolders } = await settle(options);
    const nowMs = clock.monotonicMs();
    endings = [
      ...endings,
      ...[...newHolders].flatMap((gatewayId) => [
        { gatewayId, atMs: nowMs },
        { gatewayId, atMs: nowMs + LATECOMERS_MS },
      ]),
    ];
    if (had < wanted || current.about !== JSON.stringify(revoked) || clock.nowMs() >= current.dueAtMs) {
      // Counted before it is signed: a list that is asked for meanwhile may be about an entry that this one lacks.
      const answers = wanted;
      current = await sign(revoked);
      had = answers;
    }
    if (!current.told) {
      await options.broker().revoke(current.list.pem);
      current.told = true;
    }
    await endDue(holders);
    return nowMs - startedAtMs;
  }

  /** Only once the list is in force: whoever is put out comes back at once. */
  async function endDue(holders: ReadonlySet<string>): Promise<void> {
    const nowMs = clock.monotonicMs();
    const due = new Set(endings.filter(({ atMs }) => atMs <= nowMs).map(({ gatewayId }) => gatewayId));
    for (const gatewayId of due) {
      // It counts again: let it be.
      if (!holders.has(gatewayId)) continue;
      try {
        await options.endSession(gatewayId);
        log.info('ended the session of a revoked box', { gatewayId });
      } catch (thrown) {
        log.warn('a session cannot be ended: the broker is started again', {
          error: asBranchboxError(thrown),
        });
        await options.broker().restart();
        endings = [];
        return;
      }
    }
    endings = endings.filter(({ atMs }) => atMs > nowMs);
  }

  function restMs(): number {
    const nowMs = clock.monotonicMs();
    const times = [LOOK_MS, current.dueAtMs - clock.nowMs(), ...endings.map(({ atMs }) => atMs - nowMs)];
    return Math.max(0, Math.min(...times));
  }

  return {
    get list() {
      return current.list;
    },
    get ailment() {
      return ailment;
    },
    trigger: waker.wake,
    listAnew() {
      wanted += 1;
      waker.wake();
    },
    async run(signal) {
      // What the broker was started with; whatever changed since is found by the first round.
      current.told = true;
      waker.wake();
      let pauseMs = RETRY_MS;
      while (!signal.aborted) {
        await waker.rest(ailment === undefined ? restMs() : pauseMs, signal);
        if (signal.aborted) return;
        try {
          const lookedMs = await round();
          ailment = undefined;
          pauseMs = RETRY_MS;
          // A thousand boxes that enrol trigger a thousand looks at a thousand certificates: looking takes a tenth of the time
          // at most. The broker's part is not counted: behind one that hangs the next revocation would wait 90 s.
          const idleMs = 9 * lookedMs;
          if (idleMs > 0) await clock.sleep(idleMs, signal).catch(() => undefined);
        } catch (thrown) {
          // The signer is away. What was revoked is stored, and the next round begins with it.
          const error = asBranchboxError(thrown);
          log.error('the revocation list could not be renewed', { error, pauseMs });
          ailment = `the revocation list could not be renewed: ${error.message}`;
          pauseMs = Math.min(pauseMs * 2, RETRY_MAX_MS);
        }
      }
    },
  };
}

interface Settled {
  readonly revoked: readonly RevokedCertificate[];
  /** Gateways that have a certificate which does not count. */
  readonly holders: ReadonlySet<string>;
  /** Those whose certificate counted until now. */
  readonly newHolders: ReadonlySet<string>;
}

/** Holds what the store says of each certificate against the inventory and the fleet. */
async function settle({ store, admissions, clock }: RevocationOptions): Promise<Settled> {
  const nowMs = clock.nowMs();
  const revoked: RevokedCertificate[] = [];
  const holders = new Set<string>();
  const newHolders = new Set<string>();
  for (const { fingerprintSha256, number, gatewayId, serial, ...known } of await store.records.ldevids(
    nowMs - KEPT_AFTER_END_MS,
  )) {
    const counts = serial !== undefined && (await admissions.standing(gatewayId, serial)).kind === 'admitted';
    if (counts) {
      if (known.revokedAtMs !== undefined) await store.records.setRevoked(fingerprintSha256, undefined);
      continue;
    }
    if (known.revokedAtMs === undefined) {
      await store.records.setRevoked(fingerprintSha256, nowMs);
      newHolders.add(gatewayId);
    }
    holders.add(gatewayId);
    // RFC 5280 5.3.1: the one reason whose entries may leave a list again, and an operator may take a box back.
    revoked.push({ number, revokedAtMs: known.revokedAtMs ?? nowMs, reason: 'certificateHold' });
  }
  return { revoked, holders, newHolders };
}
