/**
 * Owns the controller's view of the manufacturer: typed calls under mutual TLS.
 * Does not own judging the voucher: the box does that.
 */
import { Agent } from 'node:https';
import type { Secret } from '../../model/secret.ts';
import { toBase64 } from '../../pki/base64.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { call, type CallOptions } from '../keyholder/call.ts';

export interface VoucherWish {
  readonly serialNumber: string;
  /** authorityKeyId of the IDevID, where known. */
  readonly idevidIssuer?: Uint8Array;
  /** As the box sent it. Without one, expiresOnMs must stand (within a year). */
  readonly nonce?: Uint8Array;
  readonly expiresOnMs?: number;
  readonly pinnedDomainCert: Certificate;
}

export interface ManufacturerClient {
  /** CMS, DER: the SZTP answer's ownership-voucher. */
  requestVoucher(wish: VoucherWish): Promise<Uint8Array>;
  release(serialNumber: string): Promise<void>;
  /** Resolves where it answers. */
  ping(): Promise<void>;
}

const MAX_CONNECTIONS = 8;

export function createManufacturerClient(options: {
  /** `https://manufacturer.branchbox.example:9443` */
  readonly url: string;
  /** PEM of client.key and client.crt that `branchbox manufacturer init` made, and of its service-ca.crt. */
  readonly clientKey: Secret;
  readonly clientCertificate: string;
  readonly anchor: string;
  readonly timeoutMs?: number;
}): ManufacturerClient {
  const { hostname, port } = new URL(options.url);
  const target: CallOptions = {
    tls: true,
    // A handshake of mutual TLS for each voucher would cost both ends more than the voucher.
    agent: new Agent({ keepAlive: true, maxSockets: MAX_CONNECTIONS, maxFreeSockets: 2 }),
    peer: 'manufacturer',
    target: {
      host: hostname,
      port: port === '' ? 443 : Number(port),
      key: options.clientKey.reveal(),
      cert: options.clientCertificate,
      ca: options.anchor,
    },
    ...(options.timeoutMs === undefined ? {} : { timeoutMs: options.timeoutMs }),
  };
  return {
    async requestVoucher(wish) {
      const body = {
        serialNumber: wish.serialNumber,
        pinnedDomainCert: toBase64(wish.pinnedDomainCert.der),
        ...(wish.idevidIssuer === undefined ? {} : { idevidIssuer: toBase64(wish.idevidIssuer) }),
        ...(wish.nonce === undefined ? {} : { nonce: toBase64(wish.nonce) }),
        ...(wish.expiresOnMs === undefined ? {} : { expiresOn: new Date(wish.expiresOnMs).toISOString() }),
      };
      return Uint8Array.from(await call(target, { method: 'POST', path: '/vouchers', body }));
    },
    async release(serialNumber) {
      await call(target, { method: 'POST', path: '/release', body: { serialNumber } });
    },
    async ping() {
      await call(target, { method: 'GET', path: '/ping' });
    },
  };
}
