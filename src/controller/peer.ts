/**
 * Owns who is at the other end of a TLS connection: a factory identity, a gateway of ours, or nobody we know.
 * Does not own what either may do.
 */
import type { TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { GatewayId } from '../model/ids.ts';
import { type Certificate, parseCertificate, readUsable } from '../pki/certificate.ts';
import { validateChain } from '../pki/chain.ts';
import { deviceSerial } from '../pki/deviceSerial.ts';
import { OID } from '../pki/oids.ts';
import { takeSentCertificates } from '../pki/sentCertificates.ts';

export type Peer =
  | { readonly kind: 'none' }
  /** `certificate`: the other end has its key, and no chain to an anchor of ours. */
  | { readonly kind: 'untrusted'; readonly certificate?: Certificate }
  /** Cannot be read, or comes from a trusted manufacturer and names no usable serial. `why`: for whoever made it. */
  | { readonly kind: 'unusable'; readonly why: string }
  | { readonly kind: 'idevid'; readonly certificate: Certificate; readonly serial: string }
  | { readonly kind: 'ldevid'; readonly certificate: Certificate; readonly gatewayId: string };

export interface PeerAnchors {
  /** Issuers of IDevIDs. */
  readonly manufacturers: readonly Certificate[];
  /** The CA that signs, and that vouchers pin. */
  readonly domain: Certificate;
  /** After a rollover the one before, until it is dropped: what it signed counts still. */
  readonly previous: readonly Certificate[];
}

export type PeerOf = (socket: TLSSocket, anchors: PeerAnchors, nowMs: number) => Promise<Peer>;

/**
 * The TLS stack's own verdict is not used: it has one set of anchors, and here it matters which anchor it was. A server has one
 * of these for all its connections: the certificates of a session are had once (takeSentCertificates).
 */
export function createPeerOf(): PeerOf {
  const presented = new WeakMap<TLSSocket, readonly Uint8Array[]>();
  return (socket, anchors, nowMs) => {
    const chain = presented.get(socket) ?? takeSentCertificates(socket);
    presented.set(socket, chain);
    return judge(chain, anchors, nowMs);
  };
}

async function judge(presented: readonly Uint8Array[], anchors: PeerAnchors, nowMs: number): Promise<Peer> {
  const chain = readChain(presented);
  if (typeof chain === 'string')
    return { kind: 'unusable', why: `a client certificate cannot be read: ${chain}` };
  const [leaf, ...intermediates] = chain;
  if (leaf === undefined) return { kind: 'none' };
  const common = { leaf, intermediates, atMs: nowMs };
  if (await holds(() => validateChain({ ...common, anchors: anchors.manufacturers }))) {
    if (leaf.isCa) return { kind: 'untrusted' };
    const named = deviceSerial(leaf);
    if ('problem' in named) return { kind: 'unusable', why: named.problem };
    return { kind: 'idevid', certificate: leaf, serial: named.serial };
  }
  const domain = {
    ...common,
    anchors: [anchors.domain, ...anchors.previous],
    extendedKeyUsage: OID.clientAuth,
  };
  if (await holds(() => validateChain(domain))) {
    const gatewayId = GatewayId.safeParse(leaf.subject.commonName);
    if (gatewayId.success) return { kind: 'ldevid', certificate: leaf, gatewayId: gatewayId.data };
  }
  return { kind: 'untrusted', certificate: leaf };
}

/** Leaf first, then those that can be used; a string says why the leaf cannot be read. */
function readChain([leaf, ...others]: readonly Uint8Array[]): readonly Certificate[] | string {
  if (leaf === undefined) return [];
  try {
    return [parseCertificate(leaf), ...readUsable(others).usable];
  } catch (thrown) {
    return thrown instanceof BranchboxError ? thrown.message : 'it is no certificate';
  }
}

async function holds(check: () => Promise<unknown>): Promise<boolean> {
  try {
    await check();
    return true;
  } catch {
    return false;
  }
}
