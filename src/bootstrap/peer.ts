/**
 * Owns strict TLS towards the owner's servers as one exchange asks for it: whom to chain to, by which time, and what the owner
 * revoked. Does not own the judging itself (pki/tlsPeer) nor sockets.
 */
import { type Certificate, toPem } from '../pki/certificate.ts';
import type { SignedList } from '../pki/crlVerify.ts';
import { judgeTlsPeer } from '../pki/tlsPeer.ts';
import type { PeerJudge } from './https.ts';
import { serverName } from './discover.ts';

export interface StrictPeer {
  readonly anchors: readonly Certificate[];
  readonly nowMs: () => number;
  /** Asked at each connection; absent where nobody's are known. */
  readonly lists?: () => Promise<readonly SignedList[]>;
  /** Of a server that proved itself: leaf first, anchor last. */
  readonly onProved?: (chain: readonly Certificate[]) => void;
}

export function strictPeer({ anchors, nowMs, lists, onProved }: StrictPeer): PeerJudge {
  return {
    anchorsPem: toPem(anchors),
    async judge(socket, server) {
      const by = { host: server.host, who: serverName(server), anchors, atMs: nowMs(), takesAnyOrder: true };
      const chain = await judgeTlsPeer(socket, { ...by, lists: (await lists?.()) ?? [] });
      onProved?.(chain);
    },
  };
}
