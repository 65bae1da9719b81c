/**
 * Owns taking extensions apart (RFC 5280 4.1, 4.2), which certificates, revocation lists and their entries have in one form.
 * Does not own which ones count, nor what a critical one means to who reads it.
 */
import { decode, type DerNode, malformed } from './der.ts';
import { childrenOf, contextPrimitive, readBoolean, readOctets, readOid, TAG } from './derRead.ts';

export interface FoundExtension {
  readonly id: string;
  readonly isCritical: boolean;
  /** DER, not yet decoded: of one that nobody knows it may be anything. */
  readonly value: Uint8Array;
}

/** In order. Throws pki/malformed, also where one stands twice (RFC 5280 4.2). */
export function readExtensions(node: DerNode | undefined, what: string): readonly FoundExtension[] {
  const seen = new Set<string>();
  return childrenOf(node, TAG.sequence, what).map((extension) => {
    const parts = [...childrenOf(extension, TAG.sequence, 'Extension')];
    const id = readOid(parts.shift(), 'Extension');
    const isCritical = parts[0]?.tag === TAG.boolean && readBoolean(parts.shift(), 'Extension');
    if (seen.has(id)) throw malformed(`${what}: ${id} stands twice (RFC 5280 4.2)`);
    seen.add(id);
    return { id, isCritical, value: readOctets(parts[0], `Extension ${id}`) };
  });
}

/** Those of these identifiers, decoded. */
export const decodeKnown = (
  found: readonly FoundExtension[],
  known: ReadonlySet<string>,
): ReadonlyMap<string, DerNode> =>
  new Map(found.filter(({ id }) => known.has(id)).map(({ id, value }) => [id, decode(value)]));

/** keyIdentifier of an AuthorityKeyIdentifier (RFC 5280 4.2.1.1); undefined where the key is named otherwise. */
export const readAuthorityKeyId = (value: DerNode): Uint8Array | undefined =>
  childrenOf(value, TAG.sequence, 'Authority key identifier').find(({ tag }) => tag === contextPrimitive(0))
    ?.content;
