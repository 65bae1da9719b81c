/**
 * Owns whether the other end of a TLS session is who it must be, at a time that the caller names: chain to an anchor, name,
 * server usage, dates, and that no revocation list that the caller has names it. Does not own sockets, the time, nor where lists
 * come from and how old one may be (bootstrap/ownerRevocations).
 *
 * Why not the TLS library's verdict alone: with a clock in 1970 or 2045 it reports a date error even for a wrong
 * CA or a wrong host name, and it has no other clock than the system's. So: its verdict must be good or a date
 * error, and the whole chain is validated again here at the time that is known.
 */
import { checkServerIdentity, type DetailedPeerCertificate, type TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { type Certificate, parseCertificate, readUsable } from './certificate.ts';
import { validateChain } from './chain.ts';
import { refuseRevoked, type SignedList } from './crlVerify.ts';
import { OID } from './oids.ts';
import { MAX_SENT_CERTIFICATES, takeSentCertificates } from './sentCertificates.ts';

const DATE_VERDICTS: readonly string[] = ['CERT_NOT_YET_VALID', 'CERT_HAS_EXPIRED'];
/** What the library says of a chain that ends at another authority. */
const FOREIGN_VERDICTS: readonly string[] = [
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
];
const INTERCEPTED = '. Is TLS intercepted on the way (captive portal, inspecting firewall)?';

/**
 * Its chain: leaf first, anchor last. Throws pki/untrusted, or pki/expired where the time alone is wrong. The library must have
 * been given these anchors.
 */
export async function judgeTlsPeer(
  socket: TLSSocket,
  by: {
    /** What its certificate must name. */
    readonly host: string;
    /** For a person. */
    readonly who: string;
    readonly anchors: readonly Certificate[];
    readonly atMs: number;
    /** Of the owner; none: nobody's are known. */
    readonly lists?: readonly SignedList[];
    /**
     * Takes what it sent above its certificate in any order, as TLS 1.3 has it (RFC 8446 4.4.2). The session may have no
     * certificates after that: for one that nobody looks at again.
     */
    readonly takesAnyOrder?: boolean;
  },
): Promise<readonly Certificate[]> {
  const { who, host, anchors, atMs } = by;
  const presented = presentedBy(socket);
  const peer = socket.getPeerCertificate();
  const [leaf, ...above] = presented;
  if (leaf === undefined) throw untrusted(who, 'showed no certificate');
  const verdict = socket.authorized ? undefined : verdictOf(socket);
  if (verdict !== undefined && !DATE_VERDICTS.includes(verdict)) {
    const between = FOREIGN_VERDICTS.includes(verdict) ? INTERCEPTED : '';
    throw untrusted(who, `showed a certificate that the TLS library refuses: ${verdict}${between}`);
  }
  const mismatch = checkServerIdentity(host, peer);
  if (mismatch !== undefined) throw untrusted(who, 'showed a certificate for another name');
  const chainOver = (intermediates: readonly Certificate[]): Promise<readonly Certificate[]> => {
    const usage = { extendedKeyUsage: OID.serverAuth, takesUnnamedUsage: true };
    return validateChain({ leaf, intermediates, anchors, atMs, ...usage });
  };
  const chain = await chainOver(above)
    .catch((thrown: unknown) => {
      if (by.takesAnyOrder !== true || !isForeign(thrown)) throw thrown;
      return chainOver(readUsable(takeSentCertificates(socket).slice(1)).usable);
    })
    .catch((thrown: unknown) => {
      // Where the clock is wrong the library speaks of dates alone, and it is found here.
      if (!isForeign(thrown)) throw thrown;
      throw new BranchboxError(thrown.code, { message: thrown.message + INTERCEPTED, cause: thrown });
    });
  refuseRevoked(who, chain, by.lists ?? []);
  return chain;
}

/**
 * Throws pki/untrusted where a list names the peer of a handshake that is over. Its chain was judged in that handshake, and is
 * not judged again here.
 */
export function refuseRevokedPeer(socket: TLSSocket, who: string, lists: readonly SignedList[]): void {
  if (lists.length > 0) refuseRevoked(who, presentedBy(socket), lists);
}

/** Leaf first, as sent (and as the library completed it); above it those that can be used. */
function presentedBy(socket: TLSSocket): readonly Certificate[] {
  const chain: Uint8Array[] = [];
  const seen = new Set<string>();
  let current: DetailedPeerCertificate | undefined = socket.getPeerCertificate(true);
  while (
    current?.raw !== undefined &&
    !seen.has(current.fingerprint256) &&
    chain.length < MAX_SENT_CERTIFICATES
  ) {
    seen.add(current.fingerprint256);
    chain.push(current.raw);
    current = current.issuerCertificate;
  }
  const [leaf, ...above] = chain;
  return leaf === undefined ? [] : [parseCertificate(leaf), ...readUsable(above).usable];
}

const isForeign = (thrown: unknown): thrown is BranchboxError =>
  thrown instanceof BranchboxError && thrown.fields['foreign'] === true;

/** Typed as Error, yet the library sets the code's text. */
function verdictOf(socket: TLSSocket): string {
  const error: unknown = socket.authorizationError;
  if (typeof error === 'string') return error;
  if (error instanceof Error) return 'code' in error ? String(error.code) : error.message;
  return 'unknown';
}

function untrusted(who: string, what: string): BranchboxError {
  return new BranchboxError('pki/untrusted', { message: `${who} ${what}` });
}
