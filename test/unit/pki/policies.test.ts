/** Certificate policies along a path, each verdict held against openssl's with -policy_check, which knows nothing of ours. */
import { expect, it } from 'vitest';
import { parseCertificate } from '../../../src/pki/certificate.ts';
import { validateChain } from '../../../src/pki/chain.ts';
import { openssl, refusal } from './domain.ts';

const ANY = 'certificatePolicies=2.5.29.32.0';
const POLICY = 'certificatePolicies=1.3.6.1.4.1.99999.1';
const OTHER = 'certificatePolicies=1.3.6.1.4.1.99999.2';
const MAPPED = 'policyMappings=1.3.6.1.4.1.99999.1:1.3.6.1.4.1.99999.2';
const required = (skip: number): string => `policyConstraints=critical,requireExplicitPolicy:${skip}`;

/** From the one below the root to the leaf. Without a subject each has a name of its own. */
interface Level {
  readonly extensions: readonly string[];
  readonly subject?: string;
}
const level = (...extensions: readonly string[]): Level => ({ extensions });
const named = (subject: string, ...extensions: readonly string[]): Level => ({ extensions, subject });

it.each<[string, readonly Level[], string]>([
  ['nobody requires one', [level(POLICY), level()], 'accepted'],
  ['required, and there', [level(required(0), POLICY), level(POLICY)], 'accepted'],
  ['required, and missing in the leaf', [level(required(0), POLICY), level()], 'pki/untrusted'],
  ['required, and missing in the CA', [level(required(0)), level(POLICY)], 'pki/untrusted'],
  ['required, and another one in the leaf', [level(required(0), POLICY), level(OTHER)], 'pki/untrusted'],
  ['required, and any in the CA', [level(required(0), ANY), level(POLICY)], 'accepted'],
  ['required, and any in the leaf', [level(required(0), POLICY), level(ANY)], 'accepted'],
  [
    'any in the leaf, which is inhibited',
    [level(required(0), POLICY, 'inhibitAnyPolicy=critical,0'), level(ANY)],
    'pki/untrusted',
  ],
  ['required by the leaf itself', [level(), level(required(0))], 'pki/untrusted'],
  ['required from two below, and none is there', [level(required(2)), level()], 'accepted'],
  ['required from one below, which is the leaf', [level(required(1)), level()], 'pki/untrusted'],
  ['required from two below, which is the leaf', [level(required(2)), level(), level()], 'pki/untrusted'],
  ['required from three below', [level(required(3)), level(), level()], 'accepted'],
  [
    'a link of the CA to its own next key does not count',
    [named('/CN=Root', required(1)), level(), level()],
    'pki/untrusted',
  ],
  [
    'a link of the CA to its own next key may say any',
    [named('/CN=Root', required(0), ANY, 'inhibitAnyPolicy=critical,0'), level(POLICY), level(POLICY)],
    'accepted',
  ],
  [
    'any called otherwise',
    [level(ANY, 'policyMappings=2.5.29.32.0:1.3.6.1.4.1.99999.2'), level(OTHER)],
    'pki/untrusted',
  ],
  ['called otherwise below', [level(required(0), POLICY, MAPPED), level(OTHER)], 'accepted'],
  [
    'called otherwise below, not so there',
    [level(required(0), POLICY, MAPPED), level(POLICY)],
    'pki/untrusted',
  ],
  [
    'called otherwise where that is inhibited',
    [
      level('policyConstraints=critical,requireExplicitPolicy:0,inhibitPolicyMapping:0', POLICY),
      level(POLICY, MAPPED),
      level(OTHER),
    ],
    'pki/untrusted',
  ],
])('%s', async (_, levels, verdict) => {
  using tool = openssl();
  tool.write('config', '[req]\ndistinguished_name=dn\n[dn]\n');
  const issue = (
    name: string,
    subject: string,
    issuer: string | undefined,
    extensions: readonly string[],
  ) => {
    const by = issuer === undefined ? [] : ['-CA', issuer, '-CAkey', `${issuer}.key`];
    const added = extensions.flatMap((extension) => ['-addext', extension]);
    const key = ['-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-keyout', `${name}.key`];
    tool.run('req', '-x509', '-config', 'config', '-subj', subject, ...key, ...by, ...added, '-out', name);
    return parseCertificate(tool.read(name).toString());
  };
  const ca = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign'];
  const anchor = issue('root', '/CN=Root', undefined, ca);
  const path = levels.map(({ extensions, subject }, index) => {
    const isLeaf = index === levels.length - 1;
    const usages = isLeaf ? ['basicConstraints=critical,CA:FALSE', 'keyUsage=digitalSignature'] : ca;
    const issuer = index === 0 ? 'root' : `level${index - 1}`;
    return issue(`level${index}`, subject ?? `/CN=Level ${index}`, issuer, [...usages, ...extensions]);
  });
  const [leaf, ...intermediates] = path.toReversed();
  if (leaf === undefined) throw new Error('a path has a leaf');
  tool.write('untrusted', intermediates.map(({ pem }) => pem).join(''));
  const untrusted = intermediates.length === 0 ? [] : ['-untrusted', 'untrusted'];
  const verify = () =>
    tool.run(
      'verify',
      '-policy_check',
      '-policy',
      '2.5.29.32.0',
      '-CAfile',
      'root',
      ...untrusted,
      `level${levels.length - 1}`,
    );
  if (verdict === 'accepted') expect(verify()).toContain('OK');
  else expect(verify).toThrow(/error 4[0-9] at|no explicit policy|invalid or inconsistent/);
  const judged = validateChain({ leaf, intermediates, anchors: [anchor], atMs: leaf.notBeforeMs });
  expect(await refusal(judged)).toBe(verdict);
  if (verdict !== 'accepted')
    await expect(judged).rejects.toThrow(/requires a certificate policy|A policy mapping/);
});
