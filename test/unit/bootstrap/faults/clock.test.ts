/**
 * Rows of the fault table: the clock. In 1970, in 2045, put twenty years off by a lying NTP at any moment, put back once
 * the box is operational.
 */
import { expect } from 'vitest';
import { type BootstrapState, Journal } from '../../../../src/model/bootstrap.ts';
import { serverNamed } from '../../pki/domain.ts';
import { DAY_MS, HOST, issued, NOW_MS } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { goodStick, plugIn } from '../stick.ts';
import { everywhereTo, issueAtTheTimeOf, startController } from '../servers.ts';
import {
  type FaultRow,
  faultTable,
  IN_SERVICE,
  OWNED,
  problemOf,
  type Seen,
  standing,
  stateOf,
  toldBy,
} from './table.ts';

const bench = createFaultBench();
const YEAR_MS = 365.25 * DAY_MS;
const In1970 = Date.UTC(1970, 0, 1, 0, 0, 7);
const In2045 = Date.UTC(2045, 6, 1);
const read = (name: string): Promise<string | undefined> =>
  bench.box.files.readText(`${bench.box.paths.state}/${name}`);

const GOOD = 'OPERATIONAL, 1 enrolments, floor at the voucher';
const good = (fault: string, must: string, run: () => Promise<void>): FaultRow => ({
  fault,
  must,
  outcome: GOOD,
  told: IN_SERVICE,
  run: async () => {
    await run();
    return standing(bench);
  },
});
const runUntil = (until: BootstrapState): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until });

const STEPS = ['DISCOVER', 'PROVISIONAL', 'OWNED', 'ENROLLING', 'LDEVID', 'STRICT'] as const;
const MUST_GO_ON = 'come into service once, and not move its floor by it';

faultTable('clock', [
  good('in 1970', MUST_GO_ON, async () => {
    bench.box.clock.setMs(In1970);
    await runUntil('OPERATIONAL');
  }),
  good('in 2045', MUST_GO_ON, async () => {
    bench.box.clock.setMs(In2045);
    await runUntil('OPERATIONAL');
  }),
  good('in 1970 again at every start', MUST_GO_ON, async () => {
    for (const state of ['OWNED', 'ENROLLING', 'LDEVID', 'OPERATIONAL'] as const) {
      bench.box.clock.setMs(0);
      await runUntil(state);
    }
  }),
  ...STEPS.flatMap((state) =>
    [20, -20].map((years) =>
      good(`jumps by ${years} years (a lying NTP) in ${state}`, MUST_GO_ON, async () => {
        await bench.box.run({
          controller: bench.controller,
          until: (line) => {
            if (line.message !== 'bootstrap state entered') return false;
            if (line.fields['state'] === state) bench.box.clock.setMs(NOW_MS + years * YEAR_MS);
            return line.fields['state'] === 'OPERATIONAL';
          },
        });
      }),
    ),
  ),
  {
    fault: 'in 2045 at a start between voucher and certificate',
    must: 'refuse the owner’s server (it seems to have ended), ask for a new voucher, and know the time by it',
    outcome: `${GOOD}, after 12 × pki/expired`,
    told: 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2026-08-30T12:00:00.000Z',
    run: async () => {
      await runUntil('OWNED');
      bench.box.clock.setMs(In2045);
      await runUntil('OPERATIONAL');
      const failures = bench.box.log.filter(failed);
      const codes = [...new Set(failures.map((line) => line.fields['code']))].join();
      const { outcome } = await standing(bench);
      return { outcome: `${outcome}, after ${failures.length} × ${codes}`, told: problemOf(failures[0]) };
    },
  },
]);

/** In service, restarted under another clock; what it asks of anybody counts. */
async function restarted(atMs: number, until: BootstrapState | 'a failure'): Promise<Seen> {
  await runUntil('OPERATIONAL');
  const [key, certificate] = [await read('ldevid.key'), await read('ldevid.crt')];
  bench.controller.asked.length = 0;
  bench.box.clock.setMs(atMs);
  await bench.box.run({
    controller: bench.controller,
    until: until === 'a failure' ? failed : (line) => line.fields['state'] === until,
  });
  expect([await read('ldevid.key'), await read('ldevid.crt')]).toEqual([key, certificate]);
  const line = bench.box.log.findLast(failed);
  const { outcome } = await standing(bench);
  return {
    outcome: line === undefined ? outcome : `${String(line.fields['code'])} in ${outcome}`,
    told: problemOf(line),
  };
}

faultTable('clock, once operational', [
  {
    fault: 'rolled back to 1970',
    must: 'stay in service, and renew when its time has come by the floor and what has passed since',
    outcome: 'RENEW, 1 enrolments, floor at the voucher, 54 to 63 days later',
    told: 'RENEW, waits for a new certificate; mend: nothing to do',
    run: async () => {
      await runUntil('OPERATIONAL');
      bench.box.clock.setMs(In1970);
      const beganMs = bench.box.clock.monotonicMs();
      await runUntilEntered('RENEW');
      const days = (bench.box.clock.monotonicMs() - beganMs) / DAY_MS;
      const when = days >= 53.9 && days <= 63.1 ? '54 to 63' : String(days);
      const { outcome, told } = await standing(bench);
      return { outcome: `${outcome}, ${when} days later`, told };
    },
  },
  {
    fault: 'twenty years ahead at a start (a lying NTP)',
    must: 'take its certificate for expired and try to recover, believe no server whose date cannot be checked, keep all',
    outcome: 'pki/expired in RECOVER, 1 enrolments, floor at the voucher',
    told: 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2026-08-30T12:00:00.000Z',
    run: () => restarted(NOW_MS + 20 * YEAR_MS, 'a failure'),
  },
  {
    fault: 'twenty years ahead at a start, and right again later',
    must: 'go back into service with the certificate it has, asking nobody for another',
    outcome: GOOD,
    told: IN_SERVICE,
    run: async () => {
      await restarted(NOW_MS + 20 * YEAR_MS, 'a failure');
      bench.box.clock.setMs(NOW_MS + DAY_MS);
      await runUntilEntered('OPERATIONAL');
      return standing(bench);
    },
  },
  ...(
    [
      ['has ended', 200, 'nothing'],
      ['is lost', 1, 'ldevid.crt'],
    ] as const
  ).map(
    ([what, days, lost]): FaultRow => ({
      fault: `the certificate ${what} while the box waits for its first desired state`,
      must: 'recover under its factory identity and wait on; come into service by a trial alone',
      outcome: 'STRICT RECOVER STRICT, then CONFIG_STAGED TRIAL OPERATIONAL',
      told: 'RECOVER, waits for a new certificate in place of an expired one; mend: check that the controller is reachable',
      run: () => waitingForItsFirst(NOW_MS + days * DAY_MS, lost),
    }),
  ),
  {
    fault: 'stood still in a drawer until the certificate had ended',
    must: 'recover under its factory identity, without a new voucher, with no check switched off',
    outcome:
      'OPERATIONAL by RECOVER, 2 enrolments: simpleenroll by lab box, simpleenroll by lab box; vouchers asked for: 1',
    told: IN_SERVICE,
    run: async () => {
      const later = NOW_MS + 200 * DAY_MS;
      await runUntil('OPERATIONAL');
      const asked = [...bench.controller.asked];
      const renewed = await startController({ ...bench.authorities, server: serverAt(later) });
      try {
        issueAtTheTimeOf(bench.box, bench.authorities, renewed);
        bench.box.clock.setMs(later);
        await bench.box.run({
          controller: { ...renewed, connect: everywhereTo(renewed) },
          until: (line) => line.fields['state'] === 'OPERATIONAL',
        });
        const enrolments = [...bench.controller.enrolments, ...renewed.enrolments];
        const vouchers = [...asked, ...renewed.asked].filter((line) =>
          line.includes('get-bootstrapping-data'),
        );
        const by = bench.box.log.some((line) => line.fields['state'] === 'RECOVER')
          ? 'by RECOVER'
          : 'without RECOVER';
        return {
          outcome: `${await stateOf(bench)} ${by}, ${enrolments.length} enrolments: ${enrolments.join(', ')}; vouchers asked for: ${vouchers.length}`,
          told: toldBy(bench.box),
        };
      } finally {
        await renewed.close();
      }
    },
  },
]);

/** Without a desired state until it has a certificate again; then the agent tries one, and commits it. */
async function waitingForItsFirst(atMs: number, lost: string): Promise<Seen> {
  const { box, authorities } = bench;
  const committed = `${box.paths.agent}/committed.jws`;
  await box.files.remove(committed);
  await runUntil('STRICT');
  await box.files.remove(`${box.paths.state}/${lost}`);
  box.clock.setMs(atMs);
  const renewed = await startController({ ...authorities, server: serverAt(atMs) });
  try {
    issueAtTheTimeOf(box, authorities, renewed);
    const controller = { ...renewed, connect: everywhereTo(renewed) };
    const entered = (state: BootstrapState) =>
      box.run({ controller, until: (line) => line.fields['state'] === state });
    await entered('RECOVER');
    const told = toldBy(box);
    await box.run({
      controller,
      until: (line) => ['STRICT', 'OPERATIONAL'].includes(String(line.fields['state'])),
    });
    const before = await statesFromStrict();
    await box.files.writeDurable(`${box.paths.agent}/trial.json`, '{}');
    await entered('TRIAL');
    await box.files.writeDurable(committed, 'x');
    await box.files.remove(`${box.paths.agent}/trial.json`);
    await entered('OPERATIONAL');
    const after = (await statesFromStrict()).slice(before.length);
    return { outcome: `${before.join(' ')}, then ${after.join(' ')}`, told };
  } finally {
    await renewed.close();
  }
}
async function statesFromStrict(): Promise<readonly BootstrapState[]> {
  const { entries } = Journal.parse(JSON.parse((await read('journal.json')) ?? ''));
  const states = entries.map(({ state }) => state);
  return states.slice(states.indexOf('STRICT'));
}

/** Not content with a state that the journal holds already. */
const runUntilEntered = (state: BootstrapState): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until: (line) => line.fields['state'] === state });
const serverAt = (atMs: number) =>
  issued(bench.authorities.domain, serverNamed(HOST), {
    notBeforeMs: atMs - DAY_MS,
    notAfterMs: atMs + 90 * DAY_MS,
  });

/** A stick that ended a month ago; the system's clock began in 1970, and the hardware's is read by nobody else. */
const endedStick = (
  clock: string,
  hardwareMs: number,
  told: string,
  must: string,
  outcome: string,
): FaultRow => ({
  fault: `the hardware's clock ${clock}, and a stick that ended a month ago`,
  must,
  outcome,
  told,
  run: async () => {
    const { box } = bench;
    await box.files.writeDurable(`${box.paths.hardwareClocks}/rtc0/since_epoch`, `${hardwareMs / 1000}\n`);
    box.clock.setMs(In1970);
    await plugIn(bench, goodStick(bench));
    await runUntil('OWNED');
    const refused = box.log.findLast(({ message }) => message === 'bootstrap medium refused');
    return {
      outcome: `${String(refused?.fields['code'] ?? 'taken')} in ${await stateOf(bench)}`,
      told: toldBy(box),
    };
  },
});

const ofStick = (said: string): string => OWNED.replace(';', `; USB medium ${said};`);
const TAKEN = ofStick('taken: The medium names gateway branch1, good until 2026-07-01T12:00:00.000Z');
const ENDED = ofStick(
  'refused: The voucher for BBX-0001 is not for this box now: $.expires-on was 2026-07-01T12:00:00Z, and it is 2026-07-31T12:00:00Z at least',
);

faultTable('clock in 1970, and a hardware clock', [
  endedStick('right', NOW_MS + 60 * DAY_MS, ENDED, 'refuse the stick', 'pki/expired in OWNED'),
  endedStick('in 1970', In1970, TAKEN, 'know no better than its floor', 'taken in OWNED'),
  endedStick('in 2045', In2045, TAKEN, 'know no better than its floor', 'taken in OWNED'),
]);
