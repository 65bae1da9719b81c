/**
 * Owns reading who this box is now: its owner's record, its certificate and key, the anchor of its domain.
 * The identity process owns the files; they are read anew at each use, since certificates get renewed.
 */
import { decodeJson } from '../model/decode.ts';
import { Owner } from '../model/bootstrap.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { Files } from '../system/ports.ts';
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
