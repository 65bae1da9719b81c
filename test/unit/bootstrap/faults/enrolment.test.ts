/** Rows of the fault table: an enrolment server that issues what it must not, answers wrongly, or makes a box wait. */
import { issueCertificate, type Profile } from '../../../../src/pki/issue.ts';
import { generateKeyPair } from '../../../../src/pki/keys.ts';
import type { CertificateRequest } from '../../../../src/pki/request.ts';
import { DAY_MS, GATEWAY, NOW_MS, SERIAL } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { pkcs7, type Reply } from '../servers.ts';
import {
  type FaultRow,
  faultTable,
  firstFailure,
  IN_SERVICE,
  problemOf,
  refusedEnrolling,
  stateOf,
  toldBy,
} from './table.ts';

const bench = createFaultBench();
const MUST_REFUSE = 'refuse it, keep no certificate, ask again';
const LDEVID: Profile = { kind: 'ldevid', gatewayId: GATEWAY };

interface Bent {
  readonly profile?: Profile;
  readonly by?: 'domain' | 'stranger';
  readonly key?: CertificateRequest['publicKey'];
  readonly validity?: { readonly notBeforeMs: number; readonly notAfterMs: number };
}
const issues = (
  fault: string,
  code: string,
  told: string,
  bent: () => Bent,
  prepare = (): void => {},
): FaultRow => ({
  fault,
  must: MUST_REFUSE,
  outcome: `${code} in ENROLLING; mended`,
  told: `${code}: ${told}`,
  run: () => {
    prepare();
    bench.controller.behaviour.issue = (request) => {
      const { profile = LDEVID, by = 'domain', key = request.publicKey, validity } = bent();
      return issueCertificate({
        profile,
        publicKey: key,
        issuer: bench.authorities[by],
        validity: validity ?? { notBeforeMs: NOW_MS - 60_000, notAfterMs: NOW_MS + 90 * DAY_MS },
      });
    };
    return refusedEnrolling(bench);
  },
});
const valid = (fromDays: number, toDays: number) => ({
  notBeforeMs: NOW_MS + fromDays * DAY_MS,
  notAfterMs: NOW_MS + toDays * DAY_MS,
});

faultTable('issued certificate', [
  issues('for another key', 'pki/mismatch', 'The issued certificate is not for the key of this box', () => ({
    key: generateKeyPair().publicKey,
  })),
  issues(
    'for another gateway',
    'pki/mismatch',
    'The issued certificate is for branch2, not for branch1',
    () => ({ profile: { kind: 'ldevid', gatewayId: 'branch2' } }),
  ),
  issues(
    'for another serial number',
    'pki/mismatch',
    'The issued certificate is for the box BBX-0002, this box is BBX-0001',
    () => ({ profile: { kind: 'idevid', serialNumber: 'BBX-0002', commonName: GATEWAY } }),
  ),
  {
    fault: 'none: it names the serial number of this box, too',
    must: 'take it: a CA of somebody else may name both',
    outcome: 'LDEVID',
    told: 'LDEVID, waits for a connection under its own certificate; mend: check that the controller is reachable',
    run: () => {
      bench.controller.behaviour.issue = ({ publicKey }) =>
        issueCertificate({
          profile: { kind: 'idevid', serialNumber: SERIAL, commonName: GATEWAY },
          publicKey,
          issuer: bench.authorities.domain,
          validity: valid(-1, 90),
        });
      return firstFailure(bench, 'LDEVID');
    },
  },
  issues(
    'of another CA',
    'pki/untrusted',
    'The certificate of "branch1" is not trusted: no path leads from it to an anchor that must be used',
    () => ({ by: 'stranger' }),
  ),
  issues(
    'of a CA that cacerts names and the voucher did not pin',
    'pki/untrusted',
    'The certificate of "branch1" is not trusted: no path leads from it to an anchor that must be used',
    () => ({ by: 'stranger' }),
    () => {
      bench.controller.behaviour.cacerts = () => pkcs7([bench.authorities.stranger.certificate]);
    },
  ),
  issues(
    'that makes the box a CA',
    'pki/mismatch',
    'The issued certificate is for a CA, not for branch1',
    () => ({ profile: { kind: 'ca', commonName: GATEWAY } }),
  ),
  issues(
    'that has ended',
    'pki/expired',
    'The chain of "branch1" is not valid at that time: "branch1" ended 2026-05-31T12:00:00.000Z',
    () => ({ validity: valid(-9, -1) }),
  ),
  issues(
    'that begins in five years',
    'pki/expired',
    'The chain of "branch1" is not valid at that time: "branch1" begins 2031-05-31T12:00:00.000Z',
    () => ({ validity: valid(5 * 365, 6 * 365) }),
  ),
]);

const type = { 'content-type': 'application/pkcs7-mime' };
const answers = (fault: string, reply: Reply, code: string, told: string): FaultRow => ({
  fault,
  must: MUST_REFUSE,
  outcome: `${code} in ENROLLING; mended`,
  told: `${code}: ${told}`,
  run: () => {
    bench.controller.behaviour.enrol = () => reply;
    return refusedEnrolling(bench);
  },
});

faultTable('enrolment server', [
  answers(
    '403',
    { status: 403 },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box',
  ),
  answers(
    '302 to somebody else',
    { status: 302, headers: { location: 'https://elsewhere.example/.well-known/est/lab/simpleenroll' } },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 302',
  ),
  answers(
    '307 in a circle',
    { status: 307, headers: { location: '/.well-known/est/lab/simpleenroll' } },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered 307',
  ),
  {
    fault: '307 to itself, once',
    must: 'follow it: within one origin RFC 7030 3.2.1 lets it',
    outcome: 'OPERATIONAL with 0 failures',
    told: IN_SERVICE,
    run: async () => {
      const { box, controller, good } = bench;
      controller.behaviour.enrol = () => {
        bench.mend();
        return { status: 307, headers: { location: '/.well-known/est/lab/simpleenroll' } };
      };
      controller.behaviour.cacerts = () => {
        controller.behaviour.cacerts = good.cacerts;
        return { status: 301, headers: { location: 'cacerts' } };
      };
      await box.run({ controller, until: 'OPERATIONAL' });
      return {
        outcome: `${await stateOf(bench)} with ${box.log.filter(failed).length} failures`,
        told: toldBy(box),
      };
    },
  },
  answers(
    'a page',
    { headers: { 'content-type': 'text/html' }, body: '<html>' },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered with text/html, not certificates',
  ),
  answers(
    'no base64',
    { headers: type, body: '<html>' },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered with what is not base64',
  ),
  answers(
    'nothing',
    { headers: type, body: '' },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered with what is not base64',
  ),
  answers('no CMS', { headers: type, body: 'AAAA' }, 'pki/malformed', 'Bytes are not one CMS message'),
  answers(
    '200 KiB',
    { headers: type, body: 'A'.repeat(200 * 1024) },
    'bootstrap/refused',
    'controller.branchbox.example:PORT over wan1 answered with more than 131072 bytes',
  ),
  answers(
    'no certificate',
    pkcs7([]),
    'pki/mismatch',
    'The issued certificate is not for the key of this box',
  ),
  {
    fault: '403 for good',
    must: 'ask afresh who owns the box after 12 tries: what it was told may be overtaken',
    outcome: 'DISCOVER after 12 failures',
    told: 'bootstrap/refused: controller.branchbox.example:PORT over wan1 answered 403: it does not know or accept this box',
    run: async () => {
      bench.controller.behaviour.enrol = () => ({ status: 403 });
      await bench.box.run({ controller: bench.controller, until: 'ENROLLING' });
      await bench.box.run({ controller: bench.controller, until: 'DISCOVER' });
      const failures = bench.box.log.filter(failed);
      return {
        outcome: `${await stateOf(bench)} after ${failures.length} failures`,
        told: problemOf(failures.at(-1)),
      };
    },
  },
]);

/** 202 so many times, then the certificate. `aheadMs`: of the server's clock, which its `Date` tells. */
const waits = (
  fault: string,
  header: string | undefined,
  expectedS: number,
  times = 3,
  aheadMs = 0,
): FaultRow => ({
  fault,
  must: `wait ${expectedS} s each time (and at most a tenth more), and never start over`,
  outcome: `OPERATIONAL after ${times} × bootstrap/pending, each ${expectedS} s or up to a tenth more; who owns it was asked once`,
  told: 'bootstrap/pending: The enrolment server waits for an approval of this box (an operator approves the box at the controller)',
  run: async () => {
    let left = times;
    bench.controller.behaviour.enrol = (request) => {
      left -= 1;
      if (left < 0) return bench.good.enrol(request, 'simpleenroll');
      const date = new Date(bench.box.clock.nowMs() + aheadMs).toUTCString();
      return { status: 202, headers: { date, ...(header !== undefined && { 'retry-after': header }) } };
    };
    await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
    const failures = bench.box.log.filter(failed);
    const codes = [...new Set(failures.map((line) => line.fields['code']))].join();
    const delaysS = failures.map((line) => Number(line.fields['delayMs']) / 1000);
    // A date is that many seconds away the first time only; the box's own back-off is below 1 s then.
    const off = delaysS.filter((delayS) => delayS < expectedS || delayS > expectedS * 1.1 + 1);
    const each = off.length === 0 ? `${expectedS} s or up to a tenth more` : `${off.join()} s`;
    const asked = bench.controller.asked.filter((line) => line.includes('get-bootstrapping-data')).length;
    return {
      outcome: `${await stateOf(bench)} after ${failures.length} × ${codes}, each ${each}; who owns it was asked ${asked === 1 ? 'once' : `${asked} times`}`,
      told: problemOf(failures[0]),
    };
  },
});

faultTable('approval (202)', [
  waits('Retry-After in seconds', '90', 90),
  waits('Retry-After as a date', new Date(NOW_MS + 120_000).toUTCString(), 120, 1),
  waits(
    'Retry-After as a date of a server that is years behind',
    new Date(NOW_MS - 7_000 * DAY_MS + 120_000).toUTCString(),
    120,
    1,
    -7_000 * DAY_MS,
  ),
  waits('Retry-After 0', '0', 1),
  waits('Retry-After of a day', '86400', 86_400),
  waits('Retry-After of a year', '31536000', 86_400),
  waits('Retry-After of 4,000 digits', '9'.repeat(4_000), 60),
  waits('Retry-After of less than nothing', '-5', 60),
  waits('Retry-After as a date that is over', new Date(NOW_MS - 120_000).toUTCString(), 1, 1),
  waits('Retry-After missing', undefined, 60),
  waits('Retry-After that is nonsense', 'soon', 60),
  waits('for hours', '1800', 1_800, 40),
]);
