/**
 * Owns what an enrolment server's CSR attributes (RFC 7030 4.5.2, RFC 9908) demand: that a request names its TLS session or has
 * extensions whose values the server gives, which this box can do; other extensions, and other keys or signatures than P-256 and
 * ecdsa-with-SHA256, which it has not.
 * Does not own asking for them (est.ts).
 */
import { type DerNode, decode } from '../pki/der.ts';
import { childrenOf, readOid, TAG } from '../pki/derRead.ts';
import { OID } from '../pki/oids.ts';
import type { RequestedExtension } from '../pki/request.ts';

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
  /** To be put into the request as the server wrote them. */
  readonly extensions: readonly RequestedExtension[];
  /** Names of those that it asks for and this box puts into no request, for a person. */
  readonly otherExtensions: readonly string[];
}

/** What a certificate may say whose value only its CA knows. Of any other a box would ask for it knows not what. */
const EXTENSIONS: ReadonlyMap<string, string> = new Map([
  [OID.subjectAltName, 'subjectAltName'],
  [OID.keyUsage, 'keyUsage'],
  [OID.extendedKeyUsage, 'extendedKeyUsage'],
]);
/** RFC 2985 5.4.2; RFC 9908 3.4, where a value may be missing. */
const EXTENSION_ATTRIBUTES: readonly string[] = [OID.extensionRequest, '1.2.840.113549.1.9.16.2.62'];

/** As deep as they stand: RFC 9908 3.4 has a whole request as the value of an attribute. */
const idsIn = (node: DerNode): readonly string[] =>
  node.tag === TAG.oid ? [readOid(node, 'A CSR attribute')] : node.children.flatMap(idsIn);

/** Values of the attributes that ask for extensions, wherever they stand: extensions, or their names alone (RFC 7030 4.5.2). */
function extensionsIn(node: DerNode): readonly DerNode[] {
  const [type, values] = node.children;
  const isAttribute = node.tag === TAG.sequence && type?.tag === TAG.oid && values?.tag === TAG.set;
  if (!isAttribute || !EXTENSION_ATTRIBUTES.includes(readOid(type, 'A CSR attribute'))) {
    return node.children.flatMap(extensionsIn);
  }
  return values.children.flatMap((value) => (value.tag === TAG.oid ? [value] : value.children));
}

/** RFC 9908 3.4 leaves to the client what is missing or stands there as an empty or all-zero name. */
function isGiven(id: string, value: Uint8Array): boolean {
  const node = decode(value);
  if (id !== OID.subjectAltName) return true;
  const isName = ({ content, children }: DerNode): boolean =>
    content.some((byte) => byte !== 0) || children.some(isName);
  const names = childrenOf(node, TAG.sequence, 'Requested names');
  return names.length > 0 && names.every(isName);
}

function extensionOf(node: DerNode): { readonly id: string; readonly der: Uint8Array | undefined } {
  if (node.tag === TAG.oid) return { id: readOid(node, 'A requested extension'), der: undefined };
  const [type, ...rest] = childrenOf(node, TAG.sequence, 'A requested extension');
  const id = readOid(type, 'A requested extension');
  const value = rest.at(-1);
  const isServed = EXTENSIONS.has(id) && value?.tag === TAG.octets && isGiven(id, value.content);
  return { id, der: isServed ? node.bytes : undefined };
}

/** What is not known is ignored, as it must be. Throws pki/malformed. Pure. */
export function csrDemands(csrAttrs: Uint8Array): CsrDemands {
  const attributes = childrenOf(decode(csrAttrs), TAG.sequence, 'The CSR attributes');
  const named = attributes.flatMap(idsIn);
  const asked = new Map(
    attributes
      .flatMap(extensionsIn)
      .map(extensionOf)
      .map(({ id, der }) => [id, der]),
  );
  const unmet = (table: ReadonlyMap<string, string>, own: string): readonly string[] =>
    named.includes(own) ? [] : named.flatMap((id) => table.get(id) ?? []);
  return {
    unmet: [
      ...unmet(KEYS, OID.prime256v1),
      ...unmet(SIGNATURES, OID.ecdsaWithSha256).map((name) => `a signature by ${name}`),
    ],
    namesSession: named.includes(OID.challengePassword),
    extensions: [...asked].flatMap(([id, der]) => (der === undefined ? [] : [{ id, der }])),
    otherExtensions: [...asked].flatMap(([id, der]) => (der === undefined ? [EXTENSIONS.get(id) ?? id] : [])),
  };
}
