/**
 * Owns whether the server of a running session has been revoked since: a handshake judges only once, and a session may
 * outlive a newer revocation list that names its server. Nothing else that changed since (anchors, dates) is a reason
 * to end one.
 * Does not own the lists (bootstrap/ownerRevocations) nor ending a session (controllerLink).
 */
import type { TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { refuseRevokedPeer } from '../pki/tlsPeer.ts';
import { listsIn, type StoredIdentity } from './ownIdentity.ts';

export interface StandingPeer {
  /** Why it is to be refused by what the owner revoked, in the words of a refused connection; undefined where it is not. */
  revokedBy(lists: Pick<StoredIdentity, 'revocationListsPem'>): string | undefined;
}

export function createStandingPeer(socket: TLSSocket, host: string): StandingPeer {
  /** The same lists say the same again, and the kernel wakes whoever looks many times a second. */
  let judgedBy: string | undefined;
  return {
    revokedBy({ revocationListsPem }) {
      if (revocationListsPem === judgedBy || socket.destroyed) return undefined;
      judgedBy = revocationListsPem;
      try {
        refuseRevokedPeer(socket, host, listsIn(revocationListsPem));
        return undefined;
      } catch (thrown) {
        if (!(thrown instanceof BranchboxError)) throw thrown;
        return thrown.message;
      }
    },
  };
}
