/** Rows of the fault table: a CA whose clock is ahead, and a box that was started since it had its voucher. */
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { issueCertificate } from '../../../../src/pki/issue.ts';
import { DAY_MS, GATEWAY, NOW_MS } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { type FaultRow, faultTable, IN_SERVICE, problemOf, type Seen, standing, stateOf } from './table.ts';

const bench = createFaultBench();
const In1970 = Date.UTC(1970, 0, 1, 0, 0, 7);
const runUntil = (until: BootstrapState): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until });

const issuesAhead = (days: number): void => {
  bench.controller.behaviour.issue = ({ publicKey }) =>
    issueCertificate({
      profile: { kind: 'ldevid', gatewayId: GATEWAY },
      publicKey,
      issuer: bench.authorities.domain,
      validity: { notBeforeMs: NOW_MS + days * DAY_MS, notAfterMs: NOW_MS + (days + 90) * DAY_MS },
    });
};
const FIVE_YEARS_DAYS = 5 * 365;
/** Until a step fails; then the CA's clock is right again. */
async function refusedThenMended(): Promise<Seen> {
  await bench.box.run({ controller: bench.controller, until: failed });
  const line = bench.box.log.findLast(failed);
  const [state, floorMs] = [
    await stateOf(bench),
    Number(await bench.box.files.readText(`${bench.box.paths.state}/clock-floor`)),
  ];
  bench.mend();
  await bench.box.run({
    controller: bench.controller,
    until: (entered) =>
      entered.message === 'bootstrap state entered' && entered.fields['state'] === 'OPERATIONAL',
  });
  const moved =
    floorMs === NOW_MS ? 'its floor where it was' : `its floor at ${new Date(floorMs).toISOString()}`;
  return {
    outcome: `${String(line?.fields['code'])} in ${state}, ${moved}; mended in ${await stateOf(bench)}`,
    told: problemOf(line),
  };
}
const MUST_NOT_BELIEVE =
  'refuse it, not take the time from it, and come into service once the clock of the CA is right';
const BEGINS =
  'pki/expired: The chain of "branch1" is not valid at that time: "branch1" begins 2031-05-31T12:00:00.000Z';

faultTable("the CA's clock", [
  ...(
    [
      ['', NOW_MS],
      [', under a clock in 1970', In1970],
    ] as const
  ).map(
    ([clock, atMs]): FaultRow => ({
      fault: `five years ahead, at a start between voucher and certificate${clock}`,
      must: MUST_NOT_BELIEVE,
      outcome: 'pki/expired in ENROLLING, its floor where it was; mended in OPERATIONAL',
      told: BEGINS,
      run: async () => {
        await runUntil('ENROLLING');
        bench.box.clock.setMs(atMs);
        issuesAhead(FIVE_YEARS_DAYS);
        return refusedThenMended();
      },
    }),
  ),
  {
    fault: 'five years ahead, at the renewal of a box that was started since',
    must: MUST_NOT_BELIEVE,
    outcome: 'pki/expired in RENEW, its floor where it was; mended in OPERATIONAL',
    told: BEGINS,
    run: async () => {
      await runUntil('OPERATIONAL');
      issuesAhead(FIVE_YEARS_DAYS);
      return refusedThenMended();
    },
  },
  {
    fault: 'forty days ahead, at a start in 1970, which is then set right',
    must: 'give the certificate up before it is shown to anybody, ask for another, and not take the time from it',
    outcome: 'OPERATIONAL, 2 enrolments, floor at the voucher',
    told: IN_SERVICE,
    run: async () => {
      await runUntil('ENROLLING');
      bench.box.clock.setMs(In1970);
      issuesAhead(40);
      await runUntil('LDEVID');
      bench.mend();
      bench.box.clock.setMs(NOW_MS);
      await runUntil('OPERATIONAL');
      return standing(bench);
    },
  },
]);
