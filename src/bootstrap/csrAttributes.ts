/**
 * Owns what an enrolment server's CSR attributes (RFC 7030 4.5.2, RFC 9908) demand: that a request names its TLS session, which this box can
 * do, and other keys or signatures than P-256 and ecdsa-with-SHA256, which it has not.
 * Does not own asking for them (est.ts).
 */
import { type DerNode, decode } from '../pki/der.ts';
import { childrenOf, readOid, TAG } from '../pki/derRead.ts';
import { OID } from '../pki/oids.ts';

/** Alternatives: where the list also names the one that the box has, none of these is demanded. */
const KEYS: ReadonlyMap<string, string> = new Map([
  [OID.rsaEncryption, 'an RSA key'],
  ['1.3.132.0.34', 'a key on P-384'],
  ['1.3.132.0.35', 'a key on P-521'],
  ['1.3.101.112', 'an Ed25519 key'],
  ['1.3.101.113', 'an Ed448 key'],
]);
const SIGNATURES: ReadonlyMap<string, string> = new Map([
  [OID.sha256WithRsa, 'sha256WithRSAEncryption'],
  [OID.sha384WithRsa, 'sha384WithRSAEncryption'],
  [OID.sha512WithRsa, 'sha512WithRSAEncryption'],
  [OID.rsassaPss, 'RSASSA-PSS'],
  [OID.ecdsaWithSha384, 'ecdsa-with-SHA384'],
  [OID.ecdsaWithSha512, 'ecdsa-with-SHA512'],
]);

export interface CsrDemands {
  /** What this box does not have, in words for a person. */
  readonly unmet: readonly string[];
  /** A challengePassword: base64 of the session's channel binding (RFC 7030 3.5). */
  readonly namesSession: boolean;
}

/** As deep as they stand: RFC 9908 3.4 has a whole request as the value of an attribute. */
const idsIn = (node: DerNode): readonly string[] =>
  node.tag === TAG.oid ? [readOid(node, 'A CSR attribute')] : node.children.flatMap(idsIn);

/** What is not known is ignored, as it must be. Throws pki/malformed. Pure. */
export function csrDemands(csrAttrs: Uint8Array): CsrDemands {
  const named = childrenOf(decode(csrAttrs), TAG.sequence, 'The CSR attributes').flatMap(idsIn);
  const unmet = (table: ReadonlyMap<string, string>, own: string): readonly string[] =>
    named.includes(own) ? [] : named.flatMap((id) => table.get(id) ?? []);
  return {
    unmet: [
      ...unmet(KEYS, OID.prime256v1),
      ...unmet(SIGNATURES, OID.ecdsaWithSha256).map((name) => `a signature by ${name}`),
    ],
    namesSession: named.includes(OID.challengePassword),
  };
}
