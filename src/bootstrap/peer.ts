/**
 * Owns strict TLS towards the owner's servers: chain to the pinned domain CA, name, server usage, dates.
 * Does not own sockets. Revocation of servers is not looked at: the owner's CA answers for its own few servers.
 *
 * Why not the TLS library's verdict alone: with a clock in 1970 or 2045 it reports a date error even for a wrong
 * CA or a wrong host name, and it has no other clock than the system's. So: its verdict must be good or a date
 * error, and the whole chain is validated again here at the time that the trusted clock says.
 */
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, parseCertificate, toPem } from '../pki/certificate.ts';
import { validateChain } from '../pki/chain.ts';
import { OID } from '../pki/oids.ts';
import type { PeerJudge } from './https.ts';
import { type Server, serverName } from './discover.ts';

const DATE_VERDICTS: readonly string[] = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];
/** Of a chain that ends at somebody else. */
const FOREIGN_VERDICTS: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];
const INTERCEPTED = '. Is TLS intercepted on the way (captive portal, inspecting firewall)?';
/** Certificates taken from a handshake; a real chain has two to four. */
const MAX_CHAIN = 8;

export function strictPeer(anchors: readonly Certificate[], nowMs: () => number): PeerJudge {
  return {
    anchorsPem: toPem(anchors),
    async judge(socket, server) {
      const presented = presentedBy(socket);
      const peer = socket.getPeerCertificate();
      const [leaf, ...intermediates] = presented;
      if (leaf === undefined) throw untrusted(server, 'showed no certificate');
      const verdict = socket.authorized ? undefined : verdictOf(socket);
      if (verdict !== undefined && !DATE_VERDICTS.includes(verdict)) {
        const between = FOREIGN_VERDICTS.includes(verdict) ? INTERCEPTED : '';
        throw untrusted(server, `showed a certificate that the TLS library refuses: ${verdict}${between}`);
      }
      const mismatch = checkServerIdentity(server.host, peer);
      if (mismatch !== undefined) throw untrusted(server, `showed a certificate for another name`);
      await validateChain({
        leaf,
        intermediates,
        anchors,
        atMs: nowMs(),
        extendedKeyUsage: OID.serverAuth,
        takesUnnamedUsage: true,
      });
    },
  };
}

/** Leaf first, as sent (and as the library completed it). */
function presentedBy(socket: TLSSocket): readonly Certificate[] {
  const chain: Certificate[] = [];
  const seen = new Set<string>();
  let current: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (current?.raw !== undefined && !seen.has(current.fingerprint256) && chain.length < MAX_CHAIN) {
    seen.add(current.fingerprint256);
    chain.push(parseCertificate(current.raw));
    current = current.issuerCertificate;
  }
  return chain;
}

/** Typed as Error, yet the library sets the code's text. */
function verdictOf(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError;
  if (typeof error === 'string') return error;
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message;
  return 'unknown';
}

function untrusted(server: Server, what: string): BranchboxError {
  return new BranchboxError('pki/untrusted', { message: `${serverName(server)} ${what}` });
}
