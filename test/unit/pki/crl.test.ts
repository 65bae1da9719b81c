import { expect, it } from 'vitest';
import { createRevocationList, REVOCATION_REASONS, type RevocationList } from '../../../src/pki/crl.ts';
import { readRevocationLists } from '../../../src/pki/crlVerify.ts';
import { AT_NOW, DAY_MS, issue, makeCa, NOW_MS, openssl } from './domain.ts';

const ca = makeCa();
const held = issue(ca, { kind: 'ldevid', gatewayId: 'branch1' }).certificate;
const other = issue(ca, { kind: 'ldevid', gatewayId: 'branch2' }).certificate;
const entry = (number: string) => ({ number, revokedAtMs: NOW_MS, reason: 'certificateHold' as const });
const list = (revoked: Parameters<typeof createRevocationList>[0]['revoked'], change: object = {}) =>
  createRevocationList({
    issuer: ca,
    number: 1_780_272_000,
    thisUpdateMs: NOW_MS,
    nextUpdateMs: NOW_MS + 10 * DAY_MS,
    revoked,
    ...change,
  });

const timesOf = ({ number, thisUpdateMs, nextUpdateMs }: RevocationList) => ({
  number,
  thisUpdateMs,
  nextUpdateMs,
});

it('is signed by the CA, as openssl sees it, and by nobody else', () => {
  using tool = openssl();
  tool.write('ca.pem', ca.certificate.pem);
  tool.write('stranger.pem', makeCa().certificate.pem);
  for (const revoked of [
    [],
    [entry(held.number)],
    REVOCATION_REASONS.map((reason, i) => ({ ...entry(`4${i}`), reason })),
  ]) {
    tool.write('list.pem', list(revoked).pem);
    expect(tool.judgeList('list.pem', 'ca.pem')).toBe('verify OK');
    expect(tool.judgeList('list.pem', 'stranger.pem')).toBe('verify failure');
  }
});

it('says to openssl what it says here', () => {
  using tool = openssl();
  tool.write('list.pem', list([entry(held.number)]).pem);
  const text = tool.run('crl', '-in', 'list.pem', '-noout', '-text').replaceAll(/ +/g, ' ');
  const keyId = Buffer.from(ca.certificate.subjectKeyId ?? [])
    .toString('hex')
    .toUpperCase();
  expect(text).toContain('Version 2 (0x1)');
  expect(text).toContain('Last Update: Jun 1 00:00:00 2026 GMT');
  expect(text).toContain('Next Update: Jun 11 00:00:00 2026 GMT');
  expect(text).toMatch(/X509v3 CRL Number: ?\n 1780272000/);
  expect(text.replaceAll(':', '')).toContain(keyId);
  expect(text).toContain(`Serial Number: ${held.number.toUpperCase()}`);
  expect(text).toMatch(/X509v3 CRL Reason Code: ?\n Certificate Hold/);
});

it('keeps out who is on it and nobody else, until a later one lets them in again', () => {
  using tool = openssl();
  tool.write('ca.pem', ca.certificate.pem);
  tool.write('held.pem', held.pem);
  tool.write('other.pem', other.pem);
  const verify = (name: string, at = AT_NOW) =>
    tool.run('verify', '-crl_check', ...at, '-CAfile', 'ca.pem', '-CRLfile', 'list.pem', name);
  tool.write('list.pem', list([entry(held.number)]).pem);
  expect(() => verify('held.pem')).toThrow(/certificate revoked/);
  expect(verify('other.pem')).toBe('other.pem: OK\n');
  expect(() => verify('other.pem', ['-attime', String((NOW_MS + 11 * DAY_MS) / 1000)])).toThrow(
    /CRL has expired/,
  );
  tool.write('list.pem', list([], { number: 1_780_272_001 }).pem);
  expect(verify('held.pem')).toBe('held.pem: OK\n');
});

it('is read as it was made, in whole seconds', () => {
  const revoked = [entry(held.number), { ...entry('00ff'), reason: 'superseded' as const }];
  const made = list(revoked, { thisUpdateMs: NOW_MS + 999 });
  expect(made.thisUpdateMs).toBe(NOW_MS);
  expect(readRevocationLists(made.pem)).toMatchObject([
    {
      ...timesOf(made),
      revoked: new Map([
        [held.number, NOW_MS],
        ['ff', NOW_MS],
      ]),
    },
  ]);
  // Past 2038 and 2050: the number has five octets, the times are of the other type.
  const late = list([], { number: 2 ** 32, nextUpdateMs: Date.UTC(2051, 0, 1) });
  expect(readRevocationLists(late.pem)).toMatchObject([{ ...timesOf(late), revoked: new Map() }]);
});
