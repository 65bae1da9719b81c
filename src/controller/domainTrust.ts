/**
 * Owns which domain CAs this controller believes right now: the one that signs, and after a rollover the one before until
 * it is dropped. Whoever judges or hands out anchors asks here each time, so that nobody goes on with what was.
 * Does not own dropping one (caDrop.ts) nor the CAs (the signer).
 */
import type { Certificate } from '../pki/certificate.ts';
import type { PeerAnchors } from './peer.ts';

export interface DomainTrust extends PeerAnchors {
  /** All that count, the one that signs first. */
  readonly domains: readonly Certificate[];
  /** The one before counts no more, from the next question on. */
  drop(): void;
}

export function createDomainTrust(options: PeerAnchors): DomainTrust {
  const { manufacturers, domain } = options;
  let { previous } = options;
  return {
    manufacturers,
    domain,
    get previous() {
      return previous;
    },
    get domains() {
      return [domain, ...previous];
    },
    drop() {
      previous = [];
    },
  };
}
