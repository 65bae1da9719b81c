/**
 * Owns the controller's view of the signer: typed calls over its unix socket.
 * Does not own any key.
 */
import type { DesiredState } from '../../model/desired.ts';
import type { Order } from '../../model/mqtt.ts';
import { fromBase64, toBase64 } from '../../pki/base64.ts';
import { type Certificate, parseCertificate } from '../../pki/certificate.ts';
import type { RevokedCertificate } from '../../pki/crl.ts';
import { callJson, type CallOptions } from '../keyholder/call.ts';
import {
  AnchorsAnswer,
  CertificateAnswer,
  ConveyedAnswer,
  DesiredAnswer,
  DropAnswer,
  type ForGoodReason,
  OrderAnswer,
  RevocationListAnswer,
  RevokeAnswer,
  RevokedForGoodAnswer,
  type RevokedForGoodEntry,
} from './messages.ts';

export interface IssuedCertificate {
  readonly certificate: Certificate;
  /** Nearest first, the domain CA last. */
  readonly chain: readonly Certificate[];
}

export interface SignedConveyed {
  /** CMS, DER: the SZTP answer's conveyed-information. */
  readonly conveyed: Uint8Array;
  /** CMS, DER: the SZTP answer's owner-certificate. */
  readonly ownerCertificate: Uint8Array;
}

export interface SignedRevocations {
  /** RFC 5280's CertificateList. */
  readonly der: Uint8Array;
  readonly nextUpdateMs: number;
  /** The same of the CA before, after a rollover. */
  readonly others: readonly Uint8Array[];
}

export interface SignerAnchors {
  readonly domain: Certificate;
  readonly configurationSigning: Certificate;
  readonly owner: Certificate;
  /** Of a rollover that was begun: the next domain CA and the links between it and the present one. */
  readonly offered: readonly Certificate[];
  /** The domain CA before, once the next one signs: it counts still, and so does what it signed. */
  readonly previous: readonly Certificate[];
  /** The one that was dropped last. */
  readonly dropped: Certificate | undefined;
}

export interface SignerClient {
  /** The subject is the gatewayId; names in the request are not looked at. `validityDays` defaults to 90. */
  ldevid(request: {
    readonly csr: Uint8Array;
    readonly gatewayId: string;
    readonly validityDays?: number;
  }): Promise<IssuedCertificate>;
  serverCertificate(request: {
    readonly csr: Uint8Array;
    readonly dnsNames: readonly string[];
    readonly ipAddresses?: readonly string[];
  }): Promise<IssuedCertificate>;
  /** Subject `<service>.service`. */
  clientCertificate(request: {
    readonly csr: Uint8Array;
    readonly service: string;
  }): Promise<IssuedCertificate>;
  /** JWS over the JSON text of the state. */
  desired(state: DesiredState): Promise<string>;
  /** JWS over the JSON text of the order. */
  order(order: Order): Promise<string>;
  /** JSON of RFC 8572's redirect or onboarding information (model/sztp.ts). */
  conveyed(information: unknown): Promise<SignedConveyed>;
  /** Every box that is revoked; who is left out no longer is, but for those who are for good. */
  revocationList(revoked: readonly RevokedCertificate[]): Promise<SignedRevocations>;
  /** Of a server or service, on each list from the next one on, and nothing takes it off again. Durable. */
  revoke(number: string, reason: ForGoodReason): Promise<RevokedForGoodEntry>;
  revokedForGood(): Promise<readonly RevokedForGoodEntry[]>;
  anchors(): Promise<SignerAnchors>;
  /** Drops the domain CA before, for good; again: nothing. Throws controller/conflict where it is not that one. */
  drop(fingerprintSha256: string): Promise<void>;
}

export function createSignerClient(options: {
  readonly socketPath: string;
  readonly timeoutMs?: number;
}): SignerClient {
  const { socketPath, timeoutMs } = options;
  const target: CallOptions = {
    tls: false,
    target: { socketPath },
    peer: 'signer',
    ...(timeoutMs === undefined ? {} : { timeoutMs }),
  };
  const certificate = async (path: string, body: Record<string, unknown>): Promise<IssuedCertificate> => {
    const answer = await callJson(target, { method: 'POST', path, body }, CertificateAnswer);
    return {
      certificate: parseCertificate(answer.certificate),
      chain: answer.chain.map((pem) => parseCertificate(pem)),
    };
  };
  return {
    ldevid: ({ csr, ...rest }) => certificate('/ldevid', { csr: toBase64(csr), ...rest }),
    serverCertificate: ({ csr, ...rest }) =>
      certificate('/server-certificate', { csr: toBase64(csr), ...rest }),
    clientCertificate: ({ csr, ...rest }) =>
      certificate('/client-certificate', { csr: toBase64(csr), ...rest }),
    async desired(state) {
      const payload = toBase64(Buffer.from(JSON.stringify(state)));
      return (await callJson(target, { method: 'POST', path: '/desired', body: { payload } }, DesiredAnswer))
        .jws;
    },
    async order(order) {
      const payload = toBase64(Buffer.from(JSON.stringify(order)));
      return (await callJson(target, { method: 'POST', path: '/order', body: { payload } }, OrderAnswer)).jws;
    },
    async conveyed(information) {
      const content = toBase64(Buffer.from(JSON.stringify(information)));
      const answer = await callJson(
        target,
        { method: 'POST', path: '/conveyed', body: { content } },
        ConveyedAnswer,
      );
      return { conveyed: fromBase64(answer.conveyed), ownerCertificate: fromBase64(answer.ownerCertificate) };
    },
    async revocationList(revoked) {
      const { der, nextUpdateMs, others } = await callJson(
        target,
        { method: 'POST', path: '/revocation-list', body: { revoked } },
        RevocationListAnswer,
      );
      return { der: fromBase64(der), nextUpdateMs, others: others.map(fromBase64) };
    },
    async revoke(number, reason) {
      const body = { number, reason };
      return (await callJson(target, { method: 'POST', path: '/revoke', body }, RevokeAnswer)).revoked;
    },
    async revokedForGood() {
      return (await callJson(target, { method: 'GET', path: '/revoked' }, RevokedForGoodAnswer)).revoked;
    },
    async anchors() {
      const answer = await callJson(target, { method: 'GET', path: '/anchors' }, AnchorsAnswer);
      return {
        domain: parseCertificate(answer.domain),
        configurationSigning: parseCertificate(answer.configurationSigning),
        owner: parseCertificate(answer.owner),
        offered: answer.offered.map((pem) => parseCertificate(pem)),
        previous: answer.previous === undefined ? [] : [parseCertificate(answer.previous)],
        dropped: answer.dropped === undefined ? undefined : parseCertificate(answer.dropped),
      };
    },
    async drop(fingerprintSha256) {
      await callJson(target, { method: 'POST', path: '/drop', body: { fingerprintSha256 } }, DropAnswer);
    },
  };
}
