/**
 * Owns the parsers of what a CA says of the path below it: name constraints and certificate policies. Their bytes are fuzzed
 * alone: within a certificate a mutant would end at its signature. Does not own the rest of a path (parsersPki.ts).
 */
import { parseCertificate } from '../../src/pki/certificate.ts';
import { type Der, encode, integer, oid, sequence, taggedPrimitive, tagged } from '../../src/pki/der.ts';
import { findMisnamed } from '../../src/pki/nameConstraints.ts';
import { OID } from '../../src/pki/oids.ts';
import { policyProblem } from '../../src/pki/policies.ts';
import { mutateDer } from './mutateDer.ts';
import type { FuzzParser } from './parser.ts';
import type { Samples } from './samples.ts';

const policy = (id: string): Der => sequence(oid(id));
const policyExtensions: readonly (readonly [name: string, id: string, sample: Der])[] = [
  ['policies', OID.certificatePolicies, sequence(policy('1.2.3'), policy('2.5.29.32.0'))],
  ['policy-mappings', OID.policyMappings, sequence(sequence(oid('1.2.3'), oid('1.2.4')))],
  [
    'policy-constraints',
    OID.policyConstraints,
    sequence(taggedPrimitive(0, Uint8Array.of(0)), taggedPrimitive(1, Uint8Array.of(1))),
  ],
  ['inhibit-any-policy', OID.inhibitAnyPolicy, integer(0)],
];

export function pathParsers(samples: Samples): readonly FuzzParser[] {
  const [leaf, between, domain] = (['below', 'between', 'domain'] as const).map((name) =>
    parseCertificate(Buffer.from(samples[name], 'base64')),
  );
  if (leaf === undefined || between === undefined || domain === undefined) {
    throw new Error('unreachable: three names give three certificates');
  }
  const common = { mutate: mutateDer, refusals: ['pki/'], isSigned: false } as const;
  const limit = (form: number, text: string) => sequence(taggedPrimitive(form, Buffer.from(text, 'latin1')));
  return [
    {
      ...common,
      name: 'name-constraints',
      covers: [],
      share: 4,
      samples: [
        encode(
          sequence(
            tagged(0, limit(1, 'example.com'), limit(2, 'example.com'), limit(6, '.example.com')),
            tagged(1, limit(7, '\xc0\x00\x02\x00\xff\xff\xff\x00')),
          ),
        ),
      ],
      parse: (input) =>
        String(findMisnamed([leaf, { ...between, nameConstraintsDer: input }, domain]) === undefined),
    },
    ...policyExtensions.map(
      ([name, id, sample]): FuzzParser => ({
        ...common,
        name,
        covers: [],
        share: 1,
        samples: [encode(sample)],
        parse: (input) =>
          policyProblem([leaf, { ...between, policyExtensions: new Map([[id, input]]) }, domain]) ?? 'none',
      }),
    ),
  ];
}
