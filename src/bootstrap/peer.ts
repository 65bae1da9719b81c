/**
 * Owns strict TLS towards the owner's servers as one exchange asks for it: whom to chain to, and by which time.
 * Does not own the judging itself (pki/tlsPeer) nor sockets.
 */
import { type Certificate, toPem } from '../pki/certificate.ts';
import { judgeTlsPeer } from '../pki/tlsPeer.ts';
import type { PeerJudge } from './https.ts';
import { serverName } from './discover.ts';

export function strictPeer(anchors: readonly Certificate[], nowMs: () => number): PeerJudge {
  return {
    anchorsPem: toPem(anchors),
    judge: (socket, server) =>
      judgeTlsPeer(socket, { host: server.host, who: serverName(server), anchors, atMs: nowMs() }),
  };
}
