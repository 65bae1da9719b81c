/**
 * Owns issuing certificates: what each profile of Branchbox holds (RFC 5280, IEEE 802.1AR).
 * Does not own who may have one: that is the signer's and the manufacturer's decision.
 */
import { createHash, type KeyObject, randomBytes, sign } from 'node:crypto';
import { type Certificate, KEY_USAGES, type KeyUsage, parseCertificate } from './certificate.ts';
import {
  bitString,
  boolean,
  type Der,
  decode,
  encode,
  integer,
  octets,
  oid,
  raw,
  sequence,
  tagged,
  taggedPrimitive,
  time,
} from './der.ts';
import { childrenOf, readBitString, TAG } from './derRead.ts';
import { exportPublicKey, publicKeyOf } from './keys.ts';
import { encodeAlternativeNames, encodeHardwareModule, encodeName } from './name.ts';
import { OID } from './oids.ts';

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
  | { readonly kind: 'firmware-signing'; readonly commonName: string }
  /** Signs conveyed information: no extended key usage (RFC 8572 asks none, and others' clients choke on ours). */
  | { readonly kind: 'owner'; readonly commonName: string }
  | { readonly kind: 'voucher-signing'; readonly commonName: string };

export interface IssueOptions {
  readonly profile: Profile;
  readonly publicKey: KeyObject;
  readonly issuer: Pick<Credential, 'key' | 'certificate'>;
  readonly validity: Validity;
}

export function issueCertificate({ profile, publicKey, issuer, validity }: IssueOptions): Certificate {
  return build({
    profile,
    publicKey,
    validity,
    key: issuer.key,
    issuerName: raw(issuer.certificate.subjectDer),
    authorityKeyId: issuer.certificate.subjectKeyId ?? keyIdOf(issuer.certificate.publicKey),
  });
}

export function selfSignedCa(options: {
  readonly commonName: string;
  readonly key: KeyObject;
  readonly validity: Validity;
  readonly pathLength?: number;
}): Certificate {
  const { key, validity, commonName, pathLength } = options;
  const publicKey = publicKeyOf(key);
  const profile: Profile = { kind: 'ca', commonName, ...(pathLength === undefined ? {} : { pathLength }) };
  const authorityKeyId = keyIdOf(publicKey);
  return build({ profile, publicKey, validity, key, issuerName: subjectOf(profile), authorityKeyId });
}

interface Body {
  readonly profile: Profile;
  readonly publicKey: KeyObject;
  readonly validity: Validity;
  readonly key: KeyObject;
  readonly issuerName: Der;
  readonly authorityKeyId: Uint8Array;
}

function build(body: Body): Certificate {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const tbs = sequence(
    tagged(0, integer(2)),
    integer(certificateNumber()),
    algorithm,
    body.issuerName,
    sequence(time(body.validity.notBeforeMs), time(body.validity.notAfterMs)),
    subjectOf(body.profile),
    raw(exportPublicKey(body.publicKey)),
    tagged(3, sequence(...extensionsOf(body))),
  );
  const signature = sign('sha256', encode(tbs), body.key);
  return parseCertificate(encode(sequence(tbs, algorithm, bitString(signature))));
}

/** RFC 5280 4.1.2.2: positive, at most 20 octets; 159 random bits, so that no two are ever alike. */
function certificateNumber(): Uint8Array {
  const bytes = randomBytes(20);
  // First bit clear: positive. Second bit set: never a leading zero byte, so always 20 octets.
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes;
}

function subjectOf(profile: Profile): Der {
  if (profile.kind === 'idevid') {
    return encodeName({ commonName: profile.commonName, serialNumber: profile.serialNumber });
  }
  return encodeName({ commonName: profile.kind === 'ldevid' ? profile.gatewayId : profile.commonName });
}

interface Purpose {
  readonly keyUsage: readonly KeyUsage[];
  readonly extendedKeyUsage: readonly string[];
}

const PURPOSES: Readonly<Record<Profile['kind'], Purpose>> = {
  ca: { keyUsage: ['keyCertSign', 'cRLSign'], extendedKeyUsage: [] },
  // IEEE 802.1AR 8.10: an IDevID is not narrowed, since it outlives what it is used for.
  idevid: { keyUsage: ['digitalSignature'], extendedKeyUsage: [] },
  ldevid: { keyUsage: ['digitalSignature'], extendedKeyUsage: [OID.clientAuth] },
  server: { keyUsage: ['digitalSignature'], extendedKeyUsage: [OID.serverAuth] },
  client: { keyUsage: ['digitalSignature'], extendedKeyUsage: [OID.clientAuth] },
  'configuration-signing': {
    keyUsage: ['digitalSignature'],
    extendedKeyUsage: [OID.configurationSigning],
  },
  'firmware-signing': { keyUsage: ['digitalSignature'], extendedKeyUsage: [OID.firmwareSigning] },
  owner: { keyUsage: ['digitalSignature'], extendedKeyUsage: [] },
  'voucher-signing': { keyUsage: ['digitalSignature'], extendedKeyUsage: [] },
};

function extensionsOf({ profile, publicKey, authorityKeyId }: Body): readonly Der[] {
  const purpose = PURPOSES[profile.kind];
  const extensions = [
    extension(OID.basicConstraints, true, basicConstraintsOf(profile)),
    extension(OID.keyUsage, true, keyUsageBits(purpose.keyUsage)),
    extension(OID.subjectKeyIdentifier, false, octets(keyIdOf(publicKey))),
    extension(OID.authorityKeyIdentifier, false, sequence(taggedPrimitive(0, authorityKeyId))),
  ];
  if (purpose.extendedKeyUsage.length > 0) {
    extensions.push(extension(OID.extendedKeyUsage, false, sequence(...purpose.extendedKeyUsage.map(oid))));
  }
  if (profile.kind === 'server') {
    extensions.push(extension(OID.subjectAltName, false, encodeAlternativeNames(profile)));
  }
  if (profile.kind === 'idevid' && profile.hardwareModule !== undefined) {
    const { type, serial } = profile.hardwareModule;
    extensions.push(
      extension(OID.subjectAltName, false, encodeHardwareModule({ type, serial: octets(serial) })),
    );
  }
  return extensions;
}

export function extension(id: string, critical: boolean, value: Der): Der {
  // DER leaves a default out: critical is false unless said.
  return critical
    ? sequence(oid(id), boolean(true), octets(encode(value)))
    : sequence(oid(id), octets(encode(value)));
}

function basicConstraintsOf(profile: Profile): Der {
  if (profile.kind !== 'ca') return sequence();
  return profile.pathLength === undefined
    ? sequence(boolean(true))
    : sequence(boolean(true), integer(profile.pathLength));
}

function keyUsageBits(usages: readonly KeyUsage[]): Der {
  const bits = usages.map((usage) => KEY_USAGES.indexOf(usage));
  const last = Math.max(...bits);
  const bytes = new Uint8Array((last >> 3) + 1);
  for (const bit of bits) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7));
  return bitString(bytes, 7 - (last & 7));
}

/** RFC 5280 4.2.1.2 method (1): SHA-1 of the key's bits. A name for a key, not a protection of anything. */
export function keyIdOf(publicKey: KeyObject): Uint8Array {
  const [, bits] = childrenOf(decode(exportPublicKey(publicKey)), TAG.sequence, 'Public key');
  return Uint8Array.from(createHash('sha1').update(readBitString(bits, 'Public key')).digest());
}
