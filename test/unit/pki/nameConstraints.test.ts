/** Names that CAs of a path may give, each verdict held against openssl's, which knows nothing of ours. */
import { expect, it } from 'vitest';
import { refusal } from './domain.ts';
import { judgePath, type Level, level, named } from './opensslPath.ts';

const only = (...names: readonly string[]): string =>
  `nameConstraints=critical,${names.map((name) => `permitted;${name}`).join(',')}`;
const never = (name: string): string => `nameConstraints=critical,excluded;${name}`;
const san = (...names: readonly string[]): string => `subjectAltName=${names.join(',')}`;
const SECTIONS = `
[org]
O=Owner  Of boxes
[other]
O=Other
[module]
1=UTF8:x
`;

it.each<[string, readonly Level[], string]>([
  [
    'a host below the domain',
    [level(only('DNS:example.com')), level(san('DNS:a.b.EXAMPLE.com'))],
    'accepted',
  ],
  ['the domain itself', [level(only('DNS:example.com')), level(san('DNS:example.com'))], 'accepted'],
  [
    'a domain that ends alike',
    [level(only('DNS:example.com')), level(san('DNS:badexample.com'))],
    'pki/untrusted',
  ],
  ['no host at all', [level(only('DNS:example.com')), level()], 'accepted'],
  [
    'one host of two',
    [level(only('DNS:example.com')), level(san('DNS:a.example.com', 'DNS:b.example.net'))],
    'pki/untrusted',
  ],
  ['an excluded host', [level(never('DNS:example.com')), level(san('DNS:a.example.com'))], 'pki/untrusted'],
  [
    'another than the excluded',
    [level(never('DNS:example.com')), level(san('DNS:a.example.net'))],
    'accepted',
  ],
  [
    'what a CA gave itself beyond the one above',
    [level(only('DNS:example.com')), level(only('DNS:example.net')), level(san('DNS:a.example.net'))],
    'pki/untrusted',
  ],
  [
    'what one of two CAs does not give',
    [level(only('DNS:example.com')), level(only('DNS:example.net')), level(san('DNS:a.example.com'))],
    'pki/untrusted',
  ],
  [
    'what both give',
    [level(only('DNS:example.com')), level(only('DNS:b.example.com')), level(san('DNS:a.b.example.com'))],
    'accepted',
  ],
  ['an address', [level(only('IP:192.0.2.0/255.255.255.0')), level(san('IP:192.0.2.9'))], 'accepted'],
  [
    'an address next to it',
    [level(only('IP:192.0.2.0/255.255.255.0')), level(san('IP:192.0.3.9'))],
    'pki/untrusted',
  ],
  [
    'an address of the other family',
    [level(only('IP:192.0.2.0/255.255.255.0')), level(san('IP:2001:db8::1'))],
    'pki/untrusted',
  ],
  [
    'an excluded address',
    [level(never('IP:192.0.2.0/255.255.255.0')), level(san('IP:192.0.2.9'))],
    'pki/untrusted',
  ],
  [
    'a mailbox of the host',
    [level(only('email:example.com')), level(san('email:a@example.com'))],
    'accepted',
  ],
  [
    'a mailbox below the host',
    [level(only('email:example.com')), level(san('email:a@b.example.com'))],
    'pki/untrusted',
  ],
  [
    'a mailbox that the subject names',
    [level(only('email:example.com')), named('/CN=x/emailAddress=a@example.net')],
    'pki/untrusted',
  ],
  ['a URI', [level(only('URI:.example.com')), level(san('URI:https://a.example.com:8443/x'))], 'accepted'],
  [
    'a URI of somebody whose name it has as user',
    [level(only('URI:.example.com')), level(san('URI:https://a.example.com@example.net/'))],
    'pki/untrusted',
  ],
  ['a URI without a host', [level(only('URI:.example.com')), level(san('URI:urn:x'))], 'pki/untrusted'],
  ['a name of the organisation', [level(only('dirName:org')), named('/O=OWNER of Boxes/CN=x')], 'accepted'],
  ['a name of another', [level(only('dirName:org')), named('/O=Other/CN=x')], 'pki/untrusted'],
  ['a name that is excluded', [level(never('dirName:other')), named('/O=other/CN=x')], 'pki/untrusted'],
  [
    'a form of name that nobody here knows',
    [level(only('otherName:1.2.3.4;UTF8:x')), level(san('otherName:1.2.3.4;UTF8:x'))],
    'pki/untrusted',
  ],
  [
    'the same, where no such name is',
    [level(only('otherName:1.2.3.4;UTF8:x')), level(san('DNS:a'))],
    'accepted',
  ],
  [
    'a CA that has a name it may not have',
    [level(only('dirName:org')), named('/O=Other/CN=CA'), named('/O=Owner Of boxes/CN=x')],
    'pki/untrusted',
  ],
])('%s', async (_, levels, verdict) => {
  const { problem, judged } = judgePath(levels, { sections: SECTIONS });
  expect(await refusal(judged)).toBe(verdict);
  if (verdict === 'accepted') expect(problem).toBeUndefined();
  else {
    expect(problem).toMatch(/subtree violation|constraint|name syntax/);
    await expect(judged).rejects.toThrow('has a name that a CA above it may not give');
  }
});

it('what the anchor says of itself', async () => {
  const root = [only('DNS:example.com')];
  const within = judgePath([level(san('DNS:a.example.com'))], { root });
  expect([within.problem, await refusal(within.judged)]).toEqual([undefined, 'accepted']);
  const beyond = judgePath([level(san('DNS:a.example.net'))], { root });
  expect(beyond.problem).toMatch('subtree violation');
  expect(await refusal(beyond.judged)).toBe('pki/untrusted');
});

it('no path whose names and limits are too many to compare', () => {
  const many = Array.from({ length: 300 }, (_, index) => `DNS:h${index}.example.com`);
  const ca = [`nameConstraints=critical,${many.map((name) => `permitted;${name}`).join(',')}`];
  const { judged } = judgePath([level(...ca), level(san(...many))]);
  return expect(judged).rejects.toThrow('301 names under 300 name constraints are too many to compare');
});

// openssl takes it, and compares no host with it; node takes the dot away first.
it('no excluded host with a dot behind it', async () => {
  const { judged } = judgePath([level(never('DNS:example.com')), level(san('DNS:a.example.com.'))]);
  expect(await refusal(judged)).toBe('pki/untrusted');
});
