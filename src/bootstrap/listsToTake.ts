/**
 * Owns which revocation lists of an answer a box takes: what the owner's CAs signed, begun and not ended by what is known of the
 * time, and none that is older than the one it has. Pure but for the clock.
 * Does not own having them, nor keeping them (ownerRevocations.ts).
 */
import type { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import { minuteOf } from '../model/moment.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import { isListOf, readRevocationLists, type SignedList, verifyRevocationList } from '../pki/crlVerify.ts';
import type { TrustedClock } from './clockFloor.ts';

interface By {
  /** The owner's: believed by the box, or on the chain by which the server proved itself. */
  readonly cas: readonly Certificate[];
  /** What the box has. */
  readonly before: readonly SignedList[];
  readonly clock: Pick<TrustedClock, 'nowMs' | 'latestStartMs'>;
}

/** Whoever answered had proved itself: it is no portal. */
const HANDED_OUT = 'look at what the controller hands out for it: PEM, whole';

/** Throws pki/* where the owner's CAs signed none of them, or one of them is not to be taken now. */
export function listsToTake(text: string, by: By): readonly SignedList[] {
  const came: SignedList[] = [];
  let problem: BranchboxError | undefined;
  for (const { der } of readAnswer(text)) {
    try {
      came.push(verifyRevocationList(der, by.cas));
    } catch (thrown) {
      // Of a CA that the box does not know yet, in a rollover.
      if (!(thrown instanceof BranchboxError)) throw thrown;
      problem ??= thrown;
    }
  }
  if (came.length === 0) {
    throw (
      problem ??
      new BranchboxError('pki/malformed', {
        message: "There is none in what came for the owner's list of revoked servers",
        mend: HANDED_OUT,
      })
    );
  }
  for (const list of came) refuseUnfit(list, by);
  return came;
}

function refuseUnfit(list: SignedList, { before, clock }: By): void {
  const kept = before.find((one) => sameIssuer(one, list));
  if (kept !== undefined && list.number < kept.number) {
    throw new BranchboxError('pki/untrusted', {
      message: `The revocation list is of ${dayOf(list.thisUpdateMs)} (number ${list.number}), and older than the one that this box has, of ${dayOf(kept.thisUpdateMs)} (number ${kept.number}): somebody may want to hide what was revoked since`,
      mend: 'find out who answers in the place of the controller: the numbers of its lists never go back',
    });
  }
  // One that was made just now begins no later than it can be: as a certificate (clockFloor.ts).
  if (list.thisUpdateMs > clock.latestStartMs(list.thisUpdateMs)) {
    throw new BranchboxError('pki/expired', {
      message: `The revocation list begins ${minuteOf(list.thisUpdateMs)}, and it is ${minuteOf(clock.nowMs())} by all that is known here`,
      mend: 'check the clock of the signer',
    });
  }
  if (list.nextUpdateMs < clock.nowMs()) {
    throw new BranchboxError('pki/expired', {
      message: `The revocation list ended ${minuteOf(list.nextUpdateMs)}, and no newer one was given`,
      mend: 'check that the signer of the controller runs: it makes a new list in time',
    });
  }
}

function readAnswer(text: string): readonly SignedList[] {
  try {
    return readRevocationLists(text);
  } catch (thrown) {
    if (!(thrown instanceof BranchboxError)) throw thrown;
    throw new BranchboxError(thrown.code, {
      message: `What came for the owner's list of revoked servers cannot be read: ${thrown.message}`,
      mend: HANDED_OUT,
      cause: thrown,
    });
  }
}

export const isOf = (list: SignedList, owner: Owner): boolean =>
  parseCertificates(owner.domainAnchorPem).some((anchor) => isListOf(list, anchor));

export const sameIssuer = (left: SignedList, right: SignedList): boolean =>
  Buffer.from(left.issuerDer).equals(right.issuerDer) &&
  Buffer.from(left.authorityKeyId ?? []).equals(right.authorityKeyId ?? new Uint8Array());

const dayOf = (atMs: number): string => new Date(atMs).toISOString().slice(0, 10);
