/**
 * Owns whether this machine's firmware would start a boot entry: with Secure Boot on, only what a key of its variable
 * `db` signed, and nothing that `dbx` names (UEFI 2.10, 32.4 and 32.5). A loader whose entry is refused ends, and the
 * machine then stands in its firmware until somebody switches it off: such an entry must not be placed. Pure.
 * Verifies no signature: firmware does, and the bytes are those of a manifest that was believed.
 */
import { createHash, type X509Certificate } from 'node:crypto';
import { decode } from '../pki/der.ts';
import { programDigest, signersOf } from './authenticode.ts';
import { ATTRIBUTES_BYTES, parseSignatureLists, type SignatureLists } from './signatureLists.ts';
import type { ReadAt } from './uki.ts';

export const SECURE_BOOT = 'SecureBoot-8be4df61-93ca-11d2-aa0d-00e098032b8c';
export const SIGNATURE_DATABASE = 'db-d719b2cb-3d3a-4596-a3bc-dad00e67656f';
export const REVOKED_SIGNATURES = 'dbx-d719b2cb-3d3a-4596-a3bc-dad00e67656f';
/** Shim's, where one stands before our loader: it believes keys of its own, and holds to `dbx` as firmware does. */
export const SHIM_LIST = 'MokListRT-605dab50-e046-4300-abb6-3dd810dd8b23';

/** Content of efivarfs' files; undefined: not there. */
export interface FirmwareKeys {
  readonly secureBoot: Uint8Array | undefined;
  readonly database: Uint8Array | undefined;
  readonly revoked: Uint8Array | undefined;
  readonly shim: Uint8Array | undefined;
}

/** Why not, for a person; undefined where it would, Secure Boot is off, or it cannot be told. */
export async function whyNotStarted(
  read: ReadAt,
  sizeBytes: number,
  { secureBoot, database, revoked, shim }: FirmwareKeys,
): Promise<string | undefined> {
  if (secureBoot?.[ATTRIBUTES_BYTES] !== 1) return undefined;
  const digest = await programDigest(read, sizeBytes);
  const signers = await signersOf(read);
  const taken = parseSignatureLists(revoked ?? new Uint8Array());
  // Before anything that speaks for it, and whoever else signed it.
  if (digest !== undefined && taken.programs.has(digest))
    return `Secure Boot is on, and this machine has taken its boot entry back (dbx names SHA-256 ${digest})`;
  const bad = signers?.find((signer) => isRevoked(signer, taken));
  if (bad !== undefined)
    return `Secure Boot is on, and this machine has taken back (dbx) who signed its boot entry: ${named(bad)}`;
  if (database === undefined || shim !== undefined || signers === undefined) return undefined;
  const trusted = parseSignatureLists(database);
  if (!trusted.understood || (trusted.programs.size > 0 && digest === undefined)) return undefined;
  const keys = trusted.certificates.filter((one) => !isRevoked(one, taken));
  const known = digest !== undefined && trusted.programs.has(digest);
  return known || signers.some((signer) => keys.some((one) => isBelow(signer, one)))
    ? undefined
    : 'Secure Boot is on, and no key that this machine trusts signed its boot entry';
}

/** Itself, or what it issued. */
const isBelow = (certificate: X509Certificate, above: X509Certificate): boolean =>
  above.raw.equals(certificate.raw) ||
  (certificate.checkIssued(above) && certificate.verify(above.publicKey));

/** A time since when counts as ever: what would show that a signature is older, a time stamp, ours have none. */
const isRevoked = (
  certificate: X509Certificate,
  { certificates, certificateDigests }: SignatureLists,
): boolean =>
  certificates.some((one) => isBelow(certificate, one)) ||
  certificateDigests.has(signedDigest(certificate) ?? '');

/** SHA-256 of its TBSCertificate. */
function signedDigest({ raw }: X509Certificate): string | undefined {
  try {
    const [signed] = decode(raw).children;
    return signed && createHash('sha256').update(signed.bytes).digest('hex');
  } catch {
    return undefined;
  }
}

const named = ({ subject, fingerprint256 }: X509Certificate): string =>
  `${subject.replaceAll('\n', ', ')}, SHA-256 ${fingerprint256.replaceAll(':', '').toLowerCase()}`;
