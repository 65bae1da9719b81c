/** Who SSH is opened to: what is taken, and what is refused at its path, keys of the real ssh-keygen among it. */
import { describe, expect, it } from 'vitest';
import { tryDecode } from '../../../src/model/decode.ts';
import { SshAccess } from '../../../src/model/ssh.ts';
import { sshKeyProblem } from '../../../src/model/sshKey.ts';
import * as made from './sshKeys.ts';

const FROM = ['203.0.113.0/24'];

const field = (bytes: string | Buffer): Buffer => {
  const content = Buffer.from(bytes);
  const length = Buffer.alloc(4);
  length.writeUInt32BE(content.length);
  return Buffer.concat([length, content]);
};
/** A line of that type whose blob holds these fields. */
const line = (type: string, ...fields: readonly (string | Buffer)[]): string =>
  `${type} ${Buffer.concat([type, ...fields].map(field)).toString('base64')}`;
const POINT = Buffer.concat([Buffer.from([4]), Buffer.alloc(64, 7)]);
const ED25519 = line('ssh-ed25519', Buffer.alloc(32, 1));
const EXPONENT = Buffer.from([1, 0, 1]);
/** An odd number of so many bits, as an mpint. */
const modulus = (bits: number): Buffer => {
  const number = Buffer.alloc(bits / 8, 0xff);
  return Buffer.concat([Buffer.from([0]), number]);
};

function problems(ssh: unknown): string[] {
  const decoded = tryDecode(SshAccess, ssh);
  return decoded.ok ? [] : decoded.problems.map(({ path, message }) => `${path} ${message}`);
}
const problemsOfKey = (key: unknown) => problems({ keys: [key], from: FROM });
const problemsOfSource = (source: unknown) => problems({ keys: [ED25519], from: [source] });

describe('a public key', () => {
  it.each([
    ['ed25519', made.ED25519],
    ['ecdsa on P-256', made.ECDSA_P256],
    ['RSA of 3072 bits', made.RSA_3072],
    ['ed25519 of a token', line('sk-ssh-ed25519@openssh.com', Buffer.alloc(32, 1), 'ssh:')],
    ['ecdsa of a token', line('sk-ecdsa-sha2-nistp256@openssh.com', 'nistp256', POINT, 'ssh:desk')],
  ])('of %s is taken', (_, key) => expect(problemsOfKey(key)).toEqual([]));

  it.each([
    ['a small RSA key', made.RSA_2048, 'is an RSA key of 2048 bits: 3072 are the least'],
    [
      'a huge RSA key',
      line('ssh-rsa', EXPONENT, modulus(8200)),
      'is an RSA key of 8200 bits: 8192 are the most',
    ],
    [
      'RSA by which everybody signs',
      line('ssh-rsa', Buffer.from([1]), modulus(3072)),
      'is no key of the type',
    ],
    ['RSA of an even exponent', line('ssh-rsa', Buffer.from([1, 0]), modulus(3072)), 'is no key of the type'],
    ['RSA of a negative number', line('ssh-rsa', EXPONENT, Buffer.alloc(384, 0xff)), 'is no key of the type'],
    ['RSA padded to a length', line('ssh-rsa', EXPONENT, Buffer.alloc(400)), 'is no key of the type'],
    ['ecdsa on another curve', made.ECDSA_P384, 'begins with none of'],
    ['DSA', line('ssh-dss', '1', '2', '3', '4'), 'begins with none of'],
    ['a certificate', line('ssh-ed25519-cert-v01@openssh.com', '1'), 'begins with none of'],
    ['options', `command="sh" ${ED25519}`, 'begins with none of'],
    ['a name of every object', 'constructor AAAA', 'begins with none of'],
    ['another type inside', ED25519.replace('ssh-ed25519', 'ssh-rsa'), 'is no key of the type'],
    ['a point that is too short', line('ssh-ed25519', Buffer.alloc(31)), 'is no key of the type'],
    ['more behind it', line('ssh-ed25519', Buffer.alloc(32), 'x'), 'is no key of the type'],
    ['a length beyond its end', `ssh-ed25519 ${Buffer.from([0, 0, 1, 0]).toString('base64')}`, 'is no key'],
    ['base64 of two forms', `${ED25519}=`, 'is not in base64'],
    ['no blob', 'ssh-ed25519', 'is no key of the type'],
    ['a second line', `${ED25519}\n${ED25519}`, 'ends in more than one word'],
    ['a line feed behind the blob', `${ED25519}\n`, 'is not in base64'],
    ['a line feed at its end', `${ED25519} ada\n`, 'ends in more than one word'],
    ['a comment of two words', `${ED25519} ada lovelace`, 'ends in more than one word'],
    ['two blanks', `ssh-ed25519  ${ED25519.slice(12)}`, 'ends in more than one word'],
  ])('is refused: %s', (_, key, why) =>
    expect(problemsOfKey(key)).toEqual([expect.stringContaining(`$.keys[0] ${why}`)]),
  );

  it('is refused where it is longer than any', () => {
    expect(problemsOfKey(`${ED25519} ${'a'.repeat(2000)}`)[0]).toContain('$.keys[0]');
  });

  it('stands once', () => {
    expect(problems({ keys: [`${ED25519} ada`, `${ED25519} bob`], from: FROM })).toEqual([
      '$.keys[1] is keys[0] once more',
    ]);
  });

  it('is judged by what it is, not by its words', () => expect(sshKeyProblem(ED25519)).toBeUndefined());
});

describe('a source', () => {
  it('is a network of either family, and one way of writing it', () => {
    const from = ['203.0.113.7/32', '2001:DB8:0::/48'];
    expect(SshAccess.parse({ keys: [ED25519], from }).from).toEqual(['203.0.113.7/32', '2001:db8::/48']);
  });

  it.each([
    ['198.51.100.1/24', 'is no network'],
    ['2001:db8::1/48', 'is no network'],
    ['203.0.113.7', 'is no network'],
    ['203.0.113.0/24; accept', 'is no network'],
    ['203.0.113.0/24\n', 'is no network'],
    ['::ffff:cb00:7100/120', 'is IPv4'],
    ['::ffff:203.0.113.0/120', 'is no network'],
    ['::cb00:7100/128', 'is IPv4'],
    ['0.0.0.0/0', 'is everybody'],
    ['::/0', 'is everybody'],
  ])('is refused: %j', (source, why) =>
    expect(problemsOfSource(source)).toEqual([expect.stringContaining(`$.from[0] ${why}`)]),
  );

  it('shares no address with another', () => {
    expect(problems({ keys: [ED25519], from: ['203.0.113.0/24', '::1/128', '203.0.113.9/32'] })).toEqual([
      '$.from[2] overlaps 203.0.113.0/24',
    ]);
  });
});

it('needs both, and knows nothing else', () => {
  expect(problems({ keys: [], from: [] }).map((one) => one.split(' ')[0])).toEqual(['$.keys', '$.from']);
  expect(problems({ keys: [ED25519] }).map((one) => one.split(' ')[0])).toEqual(['$.from']);
  expect(problems({ keys: [ED25519], from: FROM, passwords: true })).toEqual([
    '$.passwords no such field is known',
  ]);
});
