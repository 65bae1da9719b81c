/**
 * Owns certificate policies along a path (RFC 5280 6.1): whether one is left where a CA requires one.
 * Does not own the rest of a path (chain.ts).
 *
 * Whoever asks takes any policy, so of the policy tree only the lowest level counts, and of that which policies the next
 * certificate may name: no node there is an empty tree.
 */
import { type Certificate, isSelfIssued } from './certificate.ts';
import { type DerNode, decode, malformed } from './der.ts';
import { childrenOf, contextPrimitive, readOid, readSmallInteger, TAG } from './derRead.ts';
import { OID } from './oids.ts';

const ANY_POLICY = '2.5.29.32.0';

/** Why no policy stands where one is required; undefined where all is well. Leaf first, anchor last. Throws pki/malformed. Pure. */
export function policyProblem(path: readonly Certificate[]): string | undefined {
  // An anchor's own extensions are no part of the path (RFC 5280 6.1.1 d).
  const line = path.slice(0, -1).toReversed();
  if (line.every(({ policyExtensions }) => policyExtensions.size === 0)) return undefined;
  const none = line.length + 1;
  let [explicitPolicy, policyMapping, inhibitAny] = [none, none, none];
  let expected: ReadonlySet<string> = new Set([ANY_POLICY]);
  for (const [index, certificate] of line.entries()) {
    const isLeaf = index === line.length - 1;
    const isOwnNextKey = isSelfIssued(certificate);
    // 6.1.3 d and e.
    const takesAny = inhibitAny > 0 || (!isLeaf && isOwnNextKey);
    expected = narrowed(expected, policiesOf(certificate), takesAny);
    // 6.1.3 f.
    if (explicitPolicy === 0 && expected.size === 0) return MISSING;
    const { requireExplicitPolicy, inhibitPolicyMapping } = constraintsOf(certificate);
    if (isLeaf) {
      // 6.1.5 a and b.
      const isRequired = explicitPolicy <= 1 || requireExplicitPolicy === 0;
      return isRequired && expected.size === 0 ? MISSING : undefined;
    }
    // 6.1.4 a and b.
    expected = mapped(expected, mappingsOf(certificate), policyMapping > 0);
    // 6.1.4 h.
    if (!isOwnNextKey) {
      explicitPolicy = Math.max(0, explicitPolicy - 1);
      policyMapping = Math.max(0, policyMapping - 1);
      inhibitAny = Math.max(0, inhibitAny - 1);
    }
    // 6.1.4 i and j.
    explicitPolicy = Math.min(explicitPolicy, requireExplicitPolicy ?? none);
    policyMapping = Math.min(policyMapping, inhibitPolicyMapping ?? none);
    inhibitAny = Math.min(inhibitAny, inhibitAnyOf(certificate) ?? none);
  }
  return undefined;
}

const MISSING =
  'a CA of its path requires a certificate policy (policyConstraints), and none stands in all certificates below (RFC 5280 6.1)';

function narrowed(
  expected: ReadonlySet<string>,
  named: ReadonlySet<string>,
  takesAny: boolean,
): ReadonlySet<string> {
  if (named.has(ANY_POLICY) && takesAny) {
    const others = expected.has(ANY_POLICY) ? [...named] : [];
    return new Set([...expected, ...others]);
  }
  const own = [...named].filter((id) => id !== ANY_POLICY);
  return new Set(expected.has(ANY_POLICY) ? own : own.filter((id) => expected.has(id)));
}

function mapped(
  expected: ReadonlySet<string>,
  mappings: ReadonlyMap<string, readonly string[]>,
  isAllowed: boolean,
): ReadonlySet<string> {
  const left = new Set([...expected].filter((id) => !mappings.has(id)));
  if (!isAllowed) return left;
  const become = [...mappings].flatMap(([from, to]) =>
    expected.has(from) || expected.has(ANY_POLICY) ? to : [],
  );
  return new Set([...left, ...become]);
}

const valueOf = ({ policyExtensions }: Certificate, id: string): DerNode | undefined => {
  const der = policyExtensions.get(id);
  return der === undefined ? undefined : decode(der);
};

function policiesOf(certificate: Certificate): ReadonlySet<string> {
  const value = valueOf(certificate, OID.certificatePolicies);
  if (value === undefined) return new Set();
  const policies = childrenOf(value, TAG.sequence, 'Certificate policies');
  return new Set(
    policies.map((policy) =>
      readOid(childrenOf(policy, TAG.sequence, 'A certificate policy')[0], 'A certificate policy'),
    ),
  );
}

/** What each policy of the issuer is called below. */
function mappingsOf(certificate: Certificate): ReadonlyMap<string, readonly string[]> {
  const value = valueOf(certificate, OID.policyMappings);
  const mappings = new Map<string, readonly string[]>();
  if (value === undefined) return mappings;
  for (const pair of childrenOf(value, TAG.sequence, 'Policy mappings')) {
    const [from, to] = childrenOf(pair, TAG.sequence, 'A policy mapping').map((id) =>
      readOid(id, 'A policy mapping'),
    );
    // 6.1.4 a.
    if (from === undefined || to === undefined || from === ANY_POLICY || to === ANY_POLICY) {
      throw malformed('A policy mapping is not of two policies (RFC 5280 6.1.4 a)');
    }
    mappings.set(from, [...(mappings.get(from) ?? []), to]);
  }
  return mappings;
}

function constraintsOf(certificate: Certificate): {
  readonly requireExplicitPolicy: number | undefined;
  readonly inhibitPolicyMapping: number | undefined;
} {
  const value = valueOf(certificate, OID.policyConstraints);
  const parts = value === undefined ? [] : childrenOf(value, TAG.sequence, 'Policy constraints');
  const skipOf = (tag: number): number | undefined => {
    const part = parts.find((one) => one.tag === contextPrimitive(tag));
    return part === undefined
      ? undefined
      : readSmallInteger({ ...part, tag: TAG.integer }, 'Policy constraints');
  };
  return { requireExplicitPolicy: skipOf(0), inhibitPolicyMapping: skipOf(1) };
}

function inhibitAnyOf(certificate: Certificate): number | undefined {
  const value = valueOf(certificate, OID.inhibitAnyPolicy);
  return value === undefined ? undefined : readSmallInteger(value, 'Inhibit any policy');
}
