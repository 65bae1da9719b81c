/**
 * Owns the domain's certificate revocation lists: their number, times and life, and the last one on disk.
 * Does not own who is on one: the controller knows which boxes' certificates no longer count, revokedForGood.ts which of
 * servers and services.
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { createRevocationList, type RevocationList, type RevokedCertificate } from '../../pki/crl.ts';
import { readRevocationLists } from '../../pki/crlVerify.ts';
import type { Credential } from '../../pki/issue.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createSerialQueue } from '../../system/serialQueue.ts';

export interface RevocationLists {
  /** The next list, whole: whoever is not named is not revoked, but for those who are for good. */
  issue(revoked: readonly RevokedCertificate[]): Promise<IssuedLists>;
}

export interface IssuedLists {
  readonly list: RevocationList;
  /** Of the CA before, after a rollover: whoever verifies wants the list of the very CA that signed. */
  readonly others: readonly RevocationList[];
}

/**
 * After its nextUpdate a list is refused, and with it everybody it is not about. The controller has a new one at half
 * of this, so nobody notices a signer that is away for less than five days.
 */
export const REVOCATION_LIST_LIFE_MS = 10 * 86_400_000;
const FILE = 'domain.crl';
export const PREVIOUS_FILE = 'domain-previous.crl';
const MAX_FILE_BYTES = 4 * 1024 * 1024;

type Issuer = Pick<Credential, 'key' | 'certificate'>;

export async function openRevocationLists(options: {
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly clock: Pick<Clock, 'nowMs'>;
  readonly directory: string;
  readonly issuer: Issuer;
  /** On each list, whatever the controller names. */
  readonly forGood?: () => readonly RevokedCertificate[];
  /** Asked anew for each list: it may be dropped meanwhile. */
  readonly previous?: () => Issuer | undefined;
}): Promise<RevocationLists> {
  const { files, clock, issuer } = options;
  const path = join(options.directory, FILE);
  const kept = await files.readText(path, MAX_FILE_BYTES);
  let lastNumber = kept === undefined ? 0 : numberIn(kept, path);

  async function issue(named: readonly RevokedCertificate[]): Promise<IssuedLists> {
    const forGood = options.forGood?.() ?? [];
    const numbers = new Set(forGood.map(({ number }) => number));
    // One entry a certificate, with the reason that is kept here: whoever broke into the controller does not choose it.
    const revoked = [...named.filter(({ number }) => !numbers.has(number)), ...forGood];
    const thisUpdateMs = clock.nowMs();
    // Seconds since 1970 where they are ahead: it grows (RFC 5280 5.2.3) even when this directory was lost.
    const number = Math.max(lastNumber + 1, Math.floor(thisUpdateMs / 1000));
    const signedBy = (by: Issuer): RevocationList => {
      const nextUpdateMs = Math.min(thisUpdateMs + REVOCATION_LIST_LIFE_MS, by.certificate.notAfterMs);
      return createRevocationList({ issuer: by, number, thisUpdateMs, nextUpdateMs, revoked });
    };
    // All entries stand on each CA's list. Certificate numbers have 159 random bits, so an entry of another CA hits nobody.
    const list = signedBy(issuer);
    const previous = options.previous?.();
    const others = previous === undefined ? [] : [signedBy(previous)];
    // Before it leaves: a number is never given twice.
    await files.writeDurable(path, list.pem, 0o644);
    for (const other of others) {
      await files.writeDurable(join(options.directory, PREVIOUS_FILE), other.pem, 0o644);
    }
    lastNumber = number;
    return { list, others };
  }

  // One at a time: no two lists may have one number.
  const inTurn = createSerialQueue();
  return { issue: (revoked) => inTurn(() => issue(revoked)) };
}

function numberIn(kept: string, path: string): number {
  const [list, ...more] = readRevocationLists(kept);
  if (list !== undefined && more.length === 0) return list.number;
  throw new BranchboxError('pki/malformed', {
    message: `${path} does not hold the one revocation list that was signed last`,
    mend: 'take it from a backup, or remove it: the next list is then numbered by the clock',
  });
}
