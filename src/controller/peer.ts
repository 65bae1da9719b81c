/**
 * Owns who is at the other end of a TLS connection: a factory identity, a gateway of ours, or nobody we know.
 * Does not own what either may do.
 */
import type { PeerCertificate, TLSSocket } from 'node:tls';
import { BranchboxError } from '../model/errors.ts';
import { GatewayId } from '../model/ids.ts';
import { type Certificate, parseCertificate, readUsable } from '../pki/certificate.ts';
import { validateChain } from '../pki/chain.ts';
import { deviceSerial } from '../pki/deviceSerial.ts';
import { OID } from '../pki/oids.ts';

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

/** Chains longer than this are nobody's. */
const MAX_CHAIN = 6;

/** The TLS stack's own verdict is not used: it has one set of anchors, and here it matters which anchor it was. */
export async function peerOf(socket: TLSSocket, anchors: PeerAnchors, nowMs: number): Promise<Peer> {
  const chain = presented(socket);
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

/** Leaf first, above it those that can be used; a string says why the leaf cannot be read. */
function presented(socket: TLSSocket): readonly Certificate[] | string {
  const chain: Uint8Array[] = [];
  let next: PeerCertificate | undefined = socket.getPeerCertificate(true);
  while (next?.raw !== undefined && chain.length < MAX_CHAIN) {
    chain.push(Uint8Array.from(next.raw));
    const issuer: PeerCertificate | undefined = 'issuerCertificate' in next ? issuerOf(next) : undefined;
    // Node ends the list with a certificate that is its own issuer.
    if (issuer === next) break;
    next = issuer;
  }
  const [leaf, ...above] = chain;
  if (leaf === undefined) return [];
  try {
    return [parseCertificate(leaf), ...readUsable(above).usable];
  } catch (thrown) {
    return thrown instanceof BranchboxError ? thrown.message : 'it is no certificate';
  }
}

function issuerOf(certificate: object): PeerCertificate | undefined {
  const issuer: unknown = Reflect.get(certificate, 'issuerCertificate');
  return isPeerCertificate(issuer) ? issuer : undefined;
}

function isPeerCertificate(value: unknown): value is PeerCertificate {
  return typeof value === 'object' && value !== null && 'raw' in value && Buffer.isBuffer(value.raw);
}

async function holds(check: () => Promise<unknown>): Promise<boolean> {
  try {
    await check();
    return true;
  } catch {
    return false;
  }
}
