/**
 * Owns believing a firmware manifest: signed by a release key that chains to this box's own anchors, for this product
 * and this machine. Nothing of it is used before. Does not own whether its version is wanted (plan.ts).
 */
import { createHash } from 'node:crypto';
import { decode } from '../model/decode.ts';
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { FirmwareManifest, MANIFEST_MAX_BYTES } from '../model/firmware.ts';
import type { Certificate } from '../pki/certificate.ts';
import { verifyJws } from '../pki/jws.ts';
import { OID } from '../pki/oids.ts';

/** What a box is to become. */
export interface Target {
  readonly manifest: FirmwareManifest;
  /** SHA-256 of the signed bytes: signed anew, the same version is the same to a box that gave it up. */
  readonly digest: string;
}

/**
 * Throws `firmware/refused`. The signer is judged at the time the manifest itself names: a release outlives its
 * certificate, as with the machine's Secure Boot; a key that must not be believed any more leaves the anchors.
 */
export async function verifyManifest(
  jws: string,
  options: { readonly anchors: readonly Certificate[]; readonly arch: string },
): Promise<Target> {
  let payload: Uint8Array;
  try {
    ({ payload } = await verifyJws(jws.trim(), {
      anchors: options.anchors,
      atMs: claimedTimeMs(jws),
      maxBytes: MANIFEST_MAX_BYTES,
      extendedKeyUsage: OID.firmwareSigning,
    }));
  } catch (thrown) {
    const error = asBranchboxError(thrown);
    throw refused(
      `the manifest is not signed by a release key that this box trusts: ${error.message}`,
      thrown,
    );
  }
  let manifest: FirmwareManifest;
  try {
    manifest = decode(FirmwareManifest, jsonOf(payload), 'the manifest');
  } catch (thrown) {
    const { problems } = asBranchboxError(thrown);
    throw new BranchboxError('firmware/refused', {
      message: 'the manifest is not understood',
      problems,
      cause: thrown,
      mend: 'A version that this one cannot read is installed over one in between.',
    });
  }
  if (manifest.arch !== options.arch) {
    throw refused(`version ${manifest.version} is for ${manifest.arch}, this box is ${options.arch}`);
  }
  return { manifest, digest: createHash('sha256').update(payload).digest('hex') };
}

/** As a Target has it, of a manifest that nobody has verified: to be compared with one that was. */
export const claimedDigest = (jws: string): string =>
  createHash('sha256')
    .update(Buffer.from(jws.trim().split('.')[1] ?? '', 'base64url'))
    .digest('hex');

/** Of the payload before its signature was looked at: only to choose the moment at which the chain is judged. */
function claimedTimeMs(jws: string): number {
  const [, payload = ''] = jws.slice(0, MANIFEST_MAX_BYTES).split('.');
  try {
    const value: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    const atMs = typeof value === 'object' && value !== null && 'builtAtMs' in value ? value.builtAtMs : 0;
    return typeof atMs === 'number' && Number.isFinite(atMs) ? atMs : 0;
  } catch {
    return 0;
  }
}

function jsonOf(payload: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(payload));
  } catch (cause) {
    throw refused('the manifest is not JSON in UTF-8', cause);
  }
}

const refused = (message: string, cause?: unknown): BranchboxError =>
  new BranchboxError('firmware/refused', { message, ...(cause === undefined ? {} : { cause }) });
