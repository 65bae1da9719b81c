/** Certificate policies along a path, each verdict held against openssl's with -policy_check, which knows nothing of ours. */
import { expect, it } from 'vitest';
import { refusal } from './domain.ts';
import { judgePath, type Level, level, named } from './opensslPath.ts';

const ANY = 'certificatePolicies=2.5.29.32.0';
const POLICY = 'certificatePolicies=1.3.6.1.4.1.99999.1';
const OTHER = 'certificatePolicies=1.3.6.1.4.1.99999.2';
const MAPPED = 'policyMappings=1.3.6.1.4.1.99999.1:1.3.6.1.4.1.99999.2';
const required = (skip: number): string => `policyConstraints=critical,requireExplicitPolicy:${skip}`;

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
  const { problem, judged } = judgePath(levels, { how: ['-policy_check', '-policy', '2.5.29.32.0'] });
  expect(await refusal(judged)).toBe(verdict);
  if (verdict === 'accepted') expect(problem).toBeUndefined();
  else {
    expect(problem).toMatch(/no explicit policy|invalid or inconsistent/);
    await expect(judged).rejects.toThrow(/requires a certificate policy|A policy mapping/);
  }
});
