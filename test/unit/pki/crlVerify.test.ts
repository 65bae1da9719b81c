/** Revocation lists of others: which are believed, and whom one names. */
import { describe, expect, it } from 'vitest';
import { createRevocationList } from '../../../src/pki/crl.ts';
import {
  readRevocationLists,
  refuseRevoked,
  renderRevocationLists,
  verifyRevocationList,
} from '../../../src/pki/crlVerify.ts';
import {
  bitString,
  boolean,
  type Der,
  encode,
  integer,
  octets,
  oid,
  raw,
  sequence,
  tagged,
  time,
} from '../../../src/pki/der.ts';
import { extension, issueCertificate } from '../../../src/pki/issue.ts';
import { OID } from '../../../src/pki/oids.ts';
import { toPemBlock } from '../../../src/pki/pem.ts';
import { sign } from 'node:crypto';
import { DAY_MS, issue, makeCa, NOW_MS, refusal, serverNamed, VALIDITY } from './domain.ts';

const ca = makeCa('Domain CA');
const server = issue(ca, serverNamed('controller.example')).certificate;
const other = issue(ca, serverNamed('controller.example')).certificate;
const listBy = (issuer = ca, ...numbers: readonly string[]) =>
  createRevocationList({
    issuer,
    number: 7,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + 10 * DAY_MS,
    revoked: numbers.map((number) => ({ number, revokedAtMs: NOW_MS, reason: 'keyCompromise' as const })),
  });
const verified = (der: Uint8Array, cas = [ca.certificate]): Promise<string> =>
  refusal((async () => verifyRevocationList(der, cas))());

/** A list of whatever fields, signed by the CA. */
function listOf(fields: {
  readonly version?: number;
  readonly before?: readonly Der[];
  readonly entries?: readonly Der[];
  readonly extensions?: readonly Der[];
  readonly times?: readonly Der[];
  readonly after?: readonly Der[];
}): Uint8Array {
  const algorithm = sequence(oid(OID.ecdsaWithSha256));
  const body = sequence(
    ...(fields.version === undefined ? [integer(1)] : fields.version < 0 ? [] : [integer(fields.version)]),
    algorithm,
    raw(ca.certificate.subjectDer),
    ...(fields.times ?? [time(NOW_MS), time(NOW_MS + DAY_MS)]),
    ...(fields.entries === undefined ? [] : [sequence(...fields.entries)]),
    tagged(0, sequence(...(fields.extensions ?? [extension(OID.crlNumber, false, integer(7))]))),
    ...(fields.after ?? []),
  );
  return encode(sequence(body, algorithm, bitString(sign('sha256', encode(body), ca.key))));
}
const NUMBER = extension(OID.crlNumber, false, integer(7));
const entry = (...more: readonly Der[]): Der => sequence(integer(5), time(NOW_MS), ...more);

describe('a list', () => {
  it('of a CA that is believed is believed, and says what it says', () => {
    const { der } = listBy(ca, server.number, '0a');
    const list = verifyRevocationList(der, [makeCa().certificate, ca.certificate]);
    expect([list.number, list.thisUpdateMs, list.nextUpdateMs]).toEqual([7, NOW_MS, NOW_MS + 10 * DAY_MS]);
    expect([...list.revoked]).toEqual([
      [server.number, NOW_MS],
      ['0a', NOW_MS],
    ]);
    expect(verifyRevocationList(listOf({}), [ca.certificate]).revoked.size).toBe(0);
    expect(verifyRevocationList(listOf({ entries: [entry()] }), [ca.certificate]).revoked.size).toBe(1);
  });

  it('of another CA is not, whatever its name is', async () => {
    expect(await verified(listBy(makeCa('Somebody')).der)).toBe('pki/untrusted');
    expect(await verified(listBy(makeCa('Domain CA')).der)).toBe('pki/untrusted');
    // The CA's name and key identifier, and another key.
    const forged = listBy({ certificate: ca.certificate, key: makeCa().key, chain: [] });
    expect(await verified(forged.der)).toBe('pki/untrusted');
    expect(await verified(listBy().der, [])).toBe('pki/untrusted');
  });

  it('of a certificate that is no CA, or that may not sign lists, is not', async () => {
    const below = (profile: Parameters<typeof issueCertificate>[0]['profile']) => {
      const made = issue(ca, profile);
      return { ...made, chain: [] };
    };
    const box = below({ kind: 'ldevid', gatewayId: 'branch1' });
    expect(await verified(listBy(box).der, [box.certificate])).toBe('pki/untrusted');
    const ofAnyUse = { ...box.certificate, keyUsage: undefined };
    expect(await verified(listBy(box).der, [ofAnyUse])).toBe('pki/untrusted');
    const onlyCertificates = { ...ca.certificate, keyUsage: ['keyCertSign'] as const };
    expect(await verified(listBy().der, [onlyCertificates])).toBe('pki/untrusted');
  });

  it('with one bit flipped in what was signed is not', async () => {
    const { der } = listBy(ca, server.number);
    for (let at = 8; at < der.length - 80; at += 3) {
      const flipped = Uint8Array.from(der);
      flipped[at] = (flipped[at] ?? 0) ^ 1;
      expect(await verified(flipped), `byte ${at}`).toMatch(/^pki\//);
    }
  });

  it.each([
    ['of version 1', listOf({ version: -1 })],
    ['of a version that there is not', listOf({ version: 2 })],
    ['without a number', listOf({ extensions: [extension(OID.authorityKeyIdentifier, false, sequence())] })],
    ['without an end', listOf({ times: [time(NOW_MS)] })],
    ['that ends before it begins', listOf({ times: [time(NOW_MS), time(NOW_MS - 1000)] })],
    // RFC 5280 5.2.5 and 5.2.4: of some certificates alone, and of what changed alone.
    ['of a part', listOf({ extensions: [NUMBER, extension('2.5.29.28', true, sequence())] })],
    ['of what changed', listOf({ extensions: [NUMBER, extension('2.5.29.27', true, integer(6))] })],
    ['with a number twice', listOf({ extensions: [NUMBER, NUMBER] })],
    // 5.3.3: the certificate is another CA's.
    [
      'with an entry of another CA',
      listOf({ entries: [entry(sequence(extension('2.5.29.29', true, sequence())))] }),
    ],
    ['with more behind its extensions', listOf({ after: [octets(Buffer.of(1))] })],
    ['with an entry that has more', listOf({ entries: [entry(sequence(), boolean(true))] })],
    ['larger than any', new Uint8Array(1024 * 1024 + 1)],
    ['that is a certificate', ca.certificate.der],
    ['that is nothing', new Uint8Array()],
  ])('%s is none', async (_name, der) => {
    expect(await verified(der)).toBe('pki/malformed');
    expect(await refusal((async () => readRevocationLists(toPemBlock('X509 CRL', der)))())).toBe(
      'pki/malformed',
    );
  });

  it('with extensions that need not be understood is one', async () => {
    const extensions = [NUMBER, extension('2.5.29.18', false, sequence())];
    const entries = [entry(sequence(extension(OID.reasonCode, false, octets(Buffer.of(99)))))];
    expect(await verified(listOf({ extensions, entries }))).toBe('accepted');
  });

  it('of a CA with 11,000 entries is taken whole', () => {
    const numbers = Array.from({ length: 11_000 }, (_, at) => (at + 2 ** 33).toString(16).padStart(40, '4'));
    const { der } = listBy(ca, ...numbers);
    expect(verifyRevocationList(der, [ca.certificate]).revoked.size).toBe(11_000);
  });
});

it('several stand in one text, and come back from it as they were', () => {
  const text = listBy().pem + listBy(makeCa('Next'), '0a').pem;
  const lists = readRevocationLists(text);
  expect(lists.map(({ revoked }) => revoked.size)).toEqual([0, 1]);
  expect(renderRevocationLists(lists)).toBe(text);
  expect(readRevocationLists('')).toEqual([]);
  expect(() => readRevocationLists(listBy().pem.repeat(9))).toThrow('9 revocation lists');
});

describe('a server', () => {
  const named = [verifyRevocationList(listBy(ca, server.number).der, [ca.certificate])];
  const told = (leaf: typeof server, path = [ca.certificate]) => {
    try {
      refuseRevoked('controller.example:1', [leaf, ...path], named);
      return 'taken';
    } catch (thrown) {
      return thrown instanceof Error ? thrown.message : '';
    }
  };

  it('that the list names is refused, and no other', () => {
    expect(told(server)).toBe(
      'controller.example:1 showed the certificate "controller.example" that its owner revoked 2026-06-01: whoever has its key may be answering in the place of the controller',
    );
    expect(told(other)).toBe('taken');
    expect(() => refuseRevoked('it', [server, ca.certificate], [])).not.toThrow();
  });

  it('of another CA with the same number is not meant', () => {
    expect(told(server, [makeCa('Domain CA').certificate])).toBe('taken');
    expect(told(server, [makeCa('Another').certificate])).toBe('taken');
  });

  it('of the next CA is meant by the list of the one that vouches for it', () => {
    const next = makeCa('Next CA');
    const link = issueCertificate({
      profile: { kind: 'ca', commonName: 'Next CA' },
      publicKey: next.certificate.publicKey,
      issuer: ca,
      validity: VALIDITY,
    });
    expect(told(server, [link, ca.certificate])).toMatch(/revoked 2026-06-01/);
    expect(told(server, [next.certificate])).toBe('taken');
  });
});
