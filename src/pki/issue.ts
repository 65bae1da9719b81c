/**
 * Owns issuing certificates: what each profile of Branchbox holds (RFC 5280, IEEE 802.1AR).
 * Does not own who may have one: that is the signer's and the manufacturer's decision.
 */
import type { KeyObject } from 'node:crypto';
import type { Certificate } from './certificate.ts';

/** A private key with its certificate, and what stands between that and the anchor (nearest first, anchor left out). */
export interface Credential {
  readonly key: KeyObject;
  readonly certificate: Certificate;
  readonly chain: readonly Certificate[];
}

export interface Validity {
  readonly notBeforeMs: number;
  readonly notAfterMs: number;
}

/** IEEE 802.1AR and RFC 5280 4.1.2.5: 99991231235959Z, no well-defined end. */
export const NO_EXPIRY_MS = Date.UTC(9999, 11, 31, 23, 59, 59);

export type Profile =
  | { readonly kind: 'ca'; readonly commonName: string; readonly pathLength?: number }
  | {
      readonly kind: 'idevid';
      readonly serialNumber: string;
      readonly commonName: string;
      /** RFC 4108 hwModuleName as subject alternative name: type as OID, serial as octets. */
      readonly hardwareModule?: { readonly type: string; readonly serial: Uint8Array };
    }
  | { readonly kind: 'ldevid'; readonly gatewayId: string }
  | {
      readonly kind: 'server';
      readonly commonName: string;
      readonly dnsNames: readonly string[];
      readonly ipAddresses: readonly string[];
    }
  | { readonly kind: 'client'; readonly commonName: string }
  | { readonly kind: 'configuration-signing'; readonly commonName: string }
  /** Signs conveyed information: no extended key usage (RFC 8572 asks none, and others' clients choke on ours). */
  | { readonly kind: 'owner'; readonly commonName: string }
  | { readonly kind: 'voucher-signing'; readonly commonName: string };

export interface IssueOptions {
  readonly profile: Profile;
  readonly publicKey: KeyObject;
  readonly issuer: Credential;
  readonly validity: Validity;
}

export declare function issueCertificate(options: IssueOptions): Certificate;
export declare function selfSignedCa(options: {
  readonly commonName: string;
  readonly key: KeyObject;
  readonly validity: Validity;
  readonly pathLength?: number;
}): Certificate;
