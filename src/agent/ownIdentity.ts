/**
 * Owns reading who this box is now: its owner's record, its certificate and key, the anchor of its domain.
 * The identity process owns the files; they are read anew at each use, since certificates get renewed.
 */
import { decodeJson } from '../model/decode.ts';
import { Owner } from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { Files, System } from '../system/ports.ts';
import type { AgentPaths } from './paths.ts';

export interface OwnIdentity {
  readonly owner: Owner;
  readonly gatewayId: string;
  readonly anchors: readonly Certificate[];
  /** For TLS, PEM. */
  readonly key: Secret;
  readonly certificatePem: string;
  readonly anchorPem: string;
}

/** undefined before the box has an owner and a certificate. */
export async function readOwnIdentity(files: Files, paths: AgentPaths): Promise<OwnIdentity | undefined> {
  const at = (name: string): string => `${paths.identity}/${name}`;
  const text = await files.readText(at('owner.json'));
  if (text === undefined) return undefined;
  const owner = decodeJson(Owner, text, at('owner.json'));
  const [key, certificatePem] = await Promise.all([
    files.readText(at('ldevid.key')),
    files.readText(at('ldevid.crt')),
  ]);
  if (key === undefined || certificatePem === undefined) return undefined;
  return {
    owner,
    gatewayId: owner.gatewayId,
    anchors: parseCertificates(owner.domainAnchorPem),
    key: new Secret(key),
    certificatePem,
    anchorPem: owner.domainAnchorPem,
  };
}

export interface IdentityReader {
  /** As last read. */
  latest(): OwnIdentity | undefined;
  /** Anew; files that cannot be read count as none. */
  read(): Promise<OwnIdentity | undefined>;
  /** As read(); throws controller/unreachable where there is none. */
  require(): Promise<OwnIdentity>;
}

export function createIdentityReader(
  { files, log }: Pick<System, 'files' | 'log'>,
  paths: AgentPaths,
): IdentityReader {
  let latest: OwnIdentity | undefined;
  const read = async (): Promise<OwnIdentity | undefined> => {
    try {
      latest = await readOwnIdentity(files, paths);
    } catch (thrown) {
      log.warn("the box's identity cannot be read", { error: thrown });
      latest = undefined;
    }
    return latest;
  };
  return {
    latest: () => latest,
    read,
    async require() {
      const own = await read();
      if (own !== undefined) return own;
      throw new BranchboxError('controller/unreachable', { message: 'this box has no owner yet' });
    },
  };
}
