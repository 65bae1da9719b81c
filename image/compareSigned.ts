/**
 * Owns comparing what two builds signed, where not all can be the same: an ECDSA signature holds a random number, and
 * manifest.json and SHA256SUMS hold digests of what has one in it. All else of these files must be the same to the byte,
 * and each signature that of its own build. Pure. Does not own files that have no signature in them (compare-builds.sh).
 */
import { createHash, verify, X509Certificate } from 'node:crypto';

/** As they lie in the output directory. */
export interface SignedFiles {
  readonly updateJws: string;
  readonly manifest: string;
  readonly sums: string;
  readonly sumsSignature: Uint8Array;
  /** release.crt: the signer's own is the first. */
  readonly certificate: string;
}

/** Their names in the output directory. */
export const signedNames = (
  version: string,
): Readonly<Record<Exclude<keyof SignedFiles, 'certificate'>, string>> => ({
  updateJws: `branchbox-${version}.update.jws`,
  manifest: 'manifest.json',
  sums: 'SHA256SUMS',
  sumsSignature: 'SHA256SUMS.sig',
});

/** A line a file, in the words of compare-builds.sh; of one that is not the same to the byte, what may differ and why. */
export function compareSigned(version: string, first: SignedFiles, second: SignedFiles): readonly string[] {
  const names = signedNames(version);
  const both = [first, second];
  const judge = (name: string, exact: readonly (string | Uint8Array)[], allowed: string, isSame: boolean) => {
    const [left, right] = exact;
    if (
      left !== undefined &&
      right !== undefined &&
      Buffer.compare(Buffer.from(left), Buffer.from(right)) === 0 &&
      isSame
    )
      return `same    ${name}`;
    return isSame ? `same    ${name}, but for ${allowed}` : `differs ${name} in more than ${allowed}`;
  };
  const isOne = (texts: readonly string[]): boolean => new Set(texts).size === 1;
  const digest = `the digest of ${names.updateJws}`;
  return [
    judge(
      names.updateJws,
      both.map(({ updateJws }) => updateJws),
      'its signature (ECDSA holds a random number)',
      isOne(both.map(({ updateJws }) => signedPart(updateJws))) && both.every(isJwsSigned),
    ),
    judge(
      names.manifest,
      both.map(({ manifest }) => manifest),
      digest,
      isOne(both.map(({ manifest, updateJws }) => without(manifest, [[updateJws, names.updateJws]]))),
    ),
    judge(
      names.sums,
      both.map(({ sums }) => sums),
      `${digest} and that of ${names.manifest}, which holds it`,
      isOne(
        both.map(({ sums, updateJws, manifest }) =>
          without(sums, [
            [updateJws, names.updateJws],
            [manifest, names.manifest],
          ]),
        ),
      ),
    ),
    judge(
      names.sumsSignature,
      both.map(({ sumsSignature }) => sumsSignature),
      `being of another ${names.sums} (and ECDSA holds a random number)`,
      both.every(({ sums, sumsSignature, certificate }) =>
        verify('sha256', Buffer.from(sums), new X509Certificate(certificate).publicKey, sumsSignature),
      ),
    ),
  ];
}

/** Header and payload: what a signature is of. */
const signedPart = (jws: string): string => jws.slice(0, jws.lastIndexOf('.'));

function isJwsSigned({ updateJws, certificate }: SignedFiles): boolean {
  const signature = Buffer.from(updateJws.slice(updateJws.lastIndexOf('.') + 1), 'base64url');
  const key = { key: new X509Certificate(certificate).publicKey, dsaEncoding: 'ieee-p1363' } as const;
  return verify('sha256', Buffer.from(signedPart(updateJws)), key, signature);
}

/** The build's own digests alone: one of something else stays, and differs. */
function without(text: string, files: readonly (readonly [content: string, name: string])[]): string {
  return files.reduce(
    (left, [content, name]) =>
      left.replaceAll(createHash('sha256').update(content).digest('hex'), `digest of ${name}`),
    text,
  );
}
