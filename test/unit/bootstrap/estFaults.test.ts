/**
 * An enrolment server that issues what it must not, answers wrongly, makes a box wait, or is somebody else.
 */
import { describe, expect, it } from 'vitest';
import { issueCertificate } from '../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../src/pki/keys.ts';
import { type Authorities, DAY_MS, GATEWAY, HOST, issued, NOW_MS } from './authorities.ts';
import { createBox } from './box.ts';
import { createFaultBench, failed } from './faultBench.ts';
import { pkcs7, type Reply, startController, type TestController } from './servers.ts';

const bench = createFaultBench();
const has = async (name: string): Promise<boolean> =>
  (await bench.box.files.list(bench.box.paths.state)).includes(name);

/** The code of the first failure from ENROLLING on, what was kept of it, and whether good answers mend it. */
async function refusal() {
  await bench.box.run({
    controller: bench.controller,
    until: (line) => failed(line) || line.fields['state'] === 'LDEVID',
  });
  const code = bench.box.log.findLast(failed)?.fields['code'];
  const kept = (await has('ldevid.crt')) || (await has('owner.json'));
  bench.mend();
  await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  return { code, kept, mended: await has('owner.json') };
}
const refusedBy = (code: string) => ({ code, kept: false, mended: true });

const validity = { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 90 * DAY_MS };
const ldevid = { kind: 'ldevid', gatewayId: GATEWAY } as const;

describe('an issued certificate is refused', () => {
  it('for another key', async () => {
    bench.controller.behaviour.issue = () =>
      issueCertificate({
        profile: ldevid,
        publicKey: generateKeyPair().publicKey,
        issuer: bench.authorities.domain,
        validity,
      });
    expect(await refusal()).toEqual(refusedBy('pki/mismatch'));
  });
  it('for another gateway', async () => {
    bench.controller.behaviour.issue = ({ publicKey }) =>
      issueCertificate({
        profile: { kind: 'ldevid', gatewayId: 'branch2' },
        publicKey,
        issuer: bench.authorities.domain,
        validity,
      });
    expect(await refusal()).toEqual(refusedBy('pki/mismatch'));
  });
  it('of another CA', async () => {
    bench.controller.behaviour.issue = ({ publicKey }) =>
      issueCertificate({ profile: ldevid, publicKey, issuer: bench.authorities.stranger, validity });
    expect(await refusal()).toEqual(refusedBy('pki/untrusted'));
  });
  it('of a CA that cacerts names and the voucher did not pin', async () => {
    bench.controller.behaviour.cacerts = () => pkcs7([bench.authorities.stranger.certificate]);
    bench.controller.behaviour.issue = ({ publicKey }) =>
      issueCertificate({ profile: ldevid, publicKey, issuer: bench.authorities.stranger, validity });
    expect(await refusal()).toEqual(refusedBy('pki/untrusted'));
  });
  it('that makes the box a CA', async () => {
    bench.controller.behaviour.issue = ({ publicKey }) =>
      issueCertificate({
        profile: { kind: 'ca', commonName: GATEWAY },
        publicKey,
        issuer: bench.authorities.domain,
        validity,
      });
    expect(await refusal()).toEqual(refusedBy('pki/mismatch'));
  });
  it('that has ended', async () => {
    bench.controller.behaviour.issue = ({ publicKey }) =>
      issueCertificate({
        profile: ldevid,
        publicKey,
        issuer: bench.authorities.domain,
        validity: { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS },
      });
    expect(await refusal()).toEqual(refusedBy('pki/expired'));
  });
});

describe('an answer of the enrolment server is refused', () => {
  const type = { 'content-type': 'application/pkcs7-mime' };
  const cases: readonly (readonly [string, Reply, string])[] = [
    ['403', { status: 403 }, 'bootstrap/refused'],
    ['302', { status: 302, headers: { location: '/' } }, 'bootstrap/refused'],
    ['a page', { headers: { 'content-type': 'text/html' }, body: '<html>' }, 'bootstrap/refused'],
    ['no base64', { headers: type, body: '<html>' }, 'bootstrap/refused'],
    ['nothing', { headers: type, body: '' }, 'bootstrap/refused'],
    ['no CMS', { headers: type, body: 'AAAA' }, 'pki/malformed'],
    ['too much', { headers: type, body: 'A'.repeat(200 * 1024) }, 'bootstrap/refused'],
    ['no certificate', pkcs7([]), 'pki/mismatch'],
  ];
  it.each(cases)('%s', async (_what, reply, code) => {
    bench.controller.behaviour.enrol = () => reply;
    expect(await refusal()).toEqual(refusedBy(code));
  });
});

describe('approval', () => {
  it.each([
    ['in seconds', '90', 90_000],
    ['as a date', new Date(NOW_MS + 120_000).toUTCString(), 120_000],
    ['of no time', '0', 1_000],
    ['of a year, believed for an hour', '31536000', 3_600_000],
    ['that is missing', undefined, 60_000],
    ['that is nonsense', 'soon', 60_000],
  ])('is waited for: Retry-After %s', async (_what, header, delayMs) => {
    let pending = 3;
    bench.controller.behaviour.enrol = (request) => {
      if (pending === 0) return bench.good.enrol(request, 'simpleenroll');
      pending -= 1;
      return { status: 202, ...(header !== undefined && { headers: { 'retry-after': header } }) };
    };
    await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
    const delays = bench.box.log.filter(failed);
    expect(delays.map((line) => line.fields['code'])).toEqual(Array(3).fill('bootstrap/pending'));
    const first = Number(delays[0]?.fields['delayMs']);
    expect(first).toBeGreaterThanOrEqual(delayMs);
    expect(first).toBeLessThanOrEqual(delayMs * 1.1 + 1_000);
    expect(bench.controller.enrolments).toHaveLength(4);
  });

  it('is waited for through any number of tries, and never sends the box back', async () => {
    let pending = 20;
    bench.controller.behaviour.enrol = (request) => {
      pending -= 1;
      return pending > 0 ? { status: 202, headers: { 'retry-after': '0' } } : bench.good.enrol(request, '');
    };
    await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
    const asked = bench.controller.asked.filter((line) => line.includes('get-bootstrapping-data'));
    expect(asked).toHaveLength(1);
  });
});

describe('an owner whose servers never take the box', () => {
  it('is asked for again after some tries: what the box was told may be overtaken', async () => {
    bench.controller.behaviour.enrol = () => ({ status: 403 });
    await bench.box.run({ controller: bench.controller, until: 'ENROLLING' });
    await bench.box.run({ controller: bench.controller, until: 'DISCOVER' });
    expect(bench.box.log.filter(failed)).toHaveLength(12);
  });
});

describe('a server of the owner', () => {
  const clocks: readonly (readonly [string, number])[] = [
    ['today', NOW_MS],
    ['1970', 0],
    ['2045', Date.UTC(2045, 0, 1)],
  ];
  const bent: readonly (readonly [string, string, () => Promise<TestController>])[] = [
    ['of another CA', 'pki/untrusted', () => serving((all) => issued(all.stranger, serverProfile(HOST)))],
    [
      'of another name',
      'pki/untrusted',
      () => serving((all) => issued(all.domain, serverProfile('other.example'))),
    ],
    [
      'with a gateway’s certificate',
      'pki/untrusted',
      () => serving((all) => issued(all.domain, { kind: 'ldevid', gatewayId: HOST })),
    ],
    [
      'that has ended',
      'pki/expired',
      () =>
        serving((all) =>
          issued(all.domain, serverProfile(HOST), {
            notBeforeMs: NOW_MS - 9 * DAY_MS,
            notAfterMs: NOW_MS - DAY_MS,
          }),
        ),
    ],
  ];
  const cases = clocks.flatMap(([when, atMs]) => bent.map((row) => [when, atMs, ...row] as const));

  it.each(cases)('with the clock in %s (%d) is refused: %s', async (_when, atMs, _what, code, start) => {
    const impostor = await start();
    try {
      const own = await createBox(bench.authorities, impostor.port);
      own.clock.setMs(atMs);
      await own.run({
        controller: impostor,
        until: (line) => failed(line) || line.fields['state'] === 'ENROLLING',
      });
      expect(own.log.findLast(failed)?.fields['code']).toBe(code);
      expect(impostor.enrolments).toEqual([]);
      await own.remove();
    } finally {
      await impostor.close();
    }
  });

  const serverProfile = (name: string) =>
    ({ kind: 'server', commonName: name, dnsNames: [name], ipAddresses: [] }) as const;
  const serving = (make: (all: Authorities) => Authorities['server']): Promise<TestController> =>
    startController({ ...bench.authorities, server: make(bench.authorities) });
});
