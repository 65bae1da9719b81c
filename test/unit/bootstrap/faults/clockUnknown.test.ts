/**
 * Rows of the fault table: a box in service that starts with a clock in 1970 and has no time server, so that nothing but
 * its floor is known, however long it was off.
 */
import { quarantinePath } from '../../../../src/bootstrap/paths.ts';
import type { Quarantine } from '../../../../src/model/bootstrap.ts';
import { ownerCertificate } from '../../../../src/pki/conveyed.ts';
import { DAY_MS, issued, NOW_MS } from '../authorities.ts';
import type { LogLine } from '../box.ts';
import { conveyedBy, createFaultBench, failed, ownerOf } from '../faultBench.ts';
import { onboarding } from '../servers.ts';
import { AFTER_730_DAYS, didNotSay, notBelieved, offFor, until } from './offFor.ts';
import { type FaultRow, faultTable } from './table.ts';

const bench = createFaultBench();
const FIVE_YEARS_MS = 5 * 365 * DAY_MS;
const toldNothing = ({ message }: LogLine): boolean => message === 'bootstrap server told no time';

const comesBack = (days: number, outcome: string, told: string): FaultRow => ({
  fault: `off for ${days} days`,
  must: 'believe no server whose date does not fit; ask for a voucher, know the time by it, and have a new certificate',
  outcome,
  told,
  run: () => offFor(bench, days, (later) => until(later, didNotSay)),
});

faultTable('clock in 1970 in service, and no time server', [
  comesBack(
    70,
    'pki/expired, its floor where it was; RENEW OPERATIONAL, simplereenroll by branch1, its floor at now',
    notBelieved('2026-08-09T12:00:00.000Z'),
  ),
  comesBack(
    730,
    'pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    AFTER_730_DAYS,
  ),
  {
    fault: "off for 730 days, and the CA's clock is five years ahead",
    must: 'refuse its certificate, not take the time from it, and come into service once the clock of the CA is right',
    outcome:
      'pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, simpleenroll by lab box, its floor at now',
    told: 'pki/expired: The chain of "branch1" is not valid at that time: "branch1" begins 2033',
    run: () =>
      offFor(bench, 730, (later) => {
        later.ahead.caMs = FIVE_YEARS_MS;
        return until(later, failed, () => {
          later.ahead.caMs = 0;
        });
      }),
  },
  {
    fault: "off for 730 days, and the manufacturer's clock is five years ahead",
    must: 'believe nobody by it, not move its floor by it, and come into service once that clock is right',
    outcome:
      'pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    told: 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2028-08-29T12:00:00.000Z',
    run: () =>
      offFor(bench, 730, (later) => {
        later.ahead.voucherMs = FIVE_YEARS_MS;
        return until(later, failed, () => {
          later.ahead.voucherMs = 0;
        });
      }),
  },
  {
    fault: 'off for 730 days, and its owner wants another boot image of whoever is new',
    must: 'know the time by the voucher, and tell nobody of the rest: nothing of it is for a box in service',
    outcome:
      'pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now; no word of the image',
    told: AFTER_730_DAYS,
    run: () =>
      offFor(bench, 730, async (later) => {
        const { behaviour, reports } = later.controller;
        const { artefacts } = behaviour;
        const validity = { notBeforeMs: later.nowMs() - DAY_MS, notAfterMs: later.nowMs() + DAY_MS };
        const owner = issued(bench.authorities.domain, { kind: 'owner', commonName: 'owner' }, validity);
        const wanted = onboarding(ownerOf(bench), { 'boot-image': { 'os-name': 'another' } });
        behaviour.artefacts = (nonce) => ({
          ...artefacts(nonce),
          conveyed: conveyedBy(bench, wanted, owner),
          ownerCertificate: ownerCertificate(owner),
        });
        const seen = await until(later, didNotSay);
        const words = reports.some((report) => report.includes('boot-image')) ? 'told' : 'no word';
        return { ...seen, outcome: `${seen.outcome}; ${words} of the image` };
      }),
  },
  {
    fault: 'off for 730 days, and no bootstrap server tells the time for a while',
    must: 'go on with what it has, ask again later, and believe no server of the owner more for it',
    outcome:
      'bootstrap/refused, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    told: AFTER_730_DAYS,
    run: () =>
      offFor(bench, 730, (later) => {
        const { behaviour } = later.controller;
        const { sztp } = behaviour;
        behaviour.sztp = () => ({ status: 503 });
        return until(later, toldNothing, () => {
          behaviour.sztp = sztp;
        });
      }),
  },
  {
    fault: 'off for 730 days, in quarantine, and trusted again meanwhile',
    must: 'hear that from a server that it can believe, and come back with a new certificate',
    outcome:
      'pki/expired, its floor where it was; QUARANTINED RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    told: 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" begins 2028',
    run: () =>
      offFor(bench, 730, async (later) => {
        const mark: Quarantine = { schema: 1, sinceMs: NOW_MS, why: 'stolen' };
        await bench.box.files.writeDurable(quarantinePath(bench.box.paths), JSON.stringify(mark));
        return until(later, failed);
      }),
  },
  {
    fault:
      "at a renewal, and the CA's clock is twenty days ahead, so that the owner's server refuses what it made",
    must: 'know the time by a voucher, give that certificate up, and have another once the clock of the CA is right',
    outcome:
      'pki/expired, its floor where it was; RENEW OPERATIONAL, simplereenroll by branch1, simplereenroll by branch1, simplereenroll by branch1, its floor at now',
    told: 'pki/expired: The chain of "branch1" is not valid at that time: "branch1" begins 2026',
    run: () =>
      offFor(bench, 0, (later) => {
        later.ahead.caMs = 20 * DAY_MS;
        return until(later, failed, () => {
          later.ahead.caMs = 0;
        });
      }),
  },
  {
    fault: "at a renewal, and the CA's clock is five years ahead",
    must: 'refuse its certificate, not take the time from it, and have another once the clock of the CA is right',
    outcome:
      'pki/expired, its floor where it was; RENEW OPERATIONAL, simplereenroll by branch1, simplereenroll by branch1, simplereenroll by branch1, its floor at now',
    told: 'pki/expired: The chain of "branch1" is not valid at that time: "branch1" begins 2031',
    run: () =>
      offFor(bench, 0, (later) => {
        later.ahead.caMs = FIVE_YEARS_MS;
        return until(later, failed, () => {
          later.ahead.caMs = 0;
        });
      }),
  },
]);
