/**
 * Rows of the fault table: the clock. In 1970, in 2045, put twenty years off by a lying NTP at any moment, put back once
 * the box is operational; and servers that must be refused whatever the clock says.
 */
import { expect } from 'vitest';
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { issueCertificate } from '../../../../src/pki/issue.ts';
import { type Authorities, DAY_MS, GATEWAY, HOST, issued, NOW_MS } from '../authorities.ts';
import { createBox } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { startController, type TestController } from '../servers.ts';
import { type FaultRow, faultTable, problemOf, type Seen, stateOf } from './table.ts';

const bench = createFaultBench();
const YEAR_MS = 365.25 * DAY_MS;
const In1970 = Date.UTC(1970, 0, 1, 0, 0, 7);
const In2045 = Date.UTC(2045, 6, 1);
const read = (name: string): Promise<string | undefined> =>
  bench.box.files.readText(`${bench.box.paths.state}/${name}`);

/** How often it enrolled, and whether its floor stands where the voucher put it. */
async function standing(): Promise<Seen> {
  const floorMs = Number(await read('clock-floor'));
  const floor = floorMs === NOW_MS ? 'floor at the voucher' : `floor at ${new Date(floorMs).toISOString()}`;
  return {
    outcome: `${await stateOf(bench)}, ${bench.controller.enrolments.length} enrolments, ${floor}`,
    told: '',
  };
}
const GOOD = 'OPERATIONAL, 1 enrolments, floor at the voucher';
const good = (fault: string, must: string, run: () => Promise<void>): FaultRow => ({
  fault,
  must,
  outcome: GOOD,
  told: '',
  run: async () => {
    await run();
    return standing();
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
      const { outcome } = await standing();
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
  const { outcome } = await standing();
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
    told: '',
    run: async () => {
      await runUntil('OPERATIONAL');
      bench.box.clock.setMs(In1970);
      const beganMs = bench.box.clock.monotonicMs();
      await runUntilEntered('RENEW');
      const days = (bench.box.clock.monotonicMs() - beganMs) / DAY_MS;
      const when = days >= 53.9 && days <= 63.1 ? '54 to 63' : String(days);
      const { outcome, told } = await standing();
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
    told: '',
    run: async () => {
      await restarted(NOW_MS + 20 * YEAR_MS, 'a failure');
      bench.box.clock.setMs(NOW_MS + DAY_MS);
      await runUntilEntered('OPERATIONAL');
      return standing();
    },
  },
  {
    fault: 'stood still in a drawer until the certificate had ended',
    must: 'recover under its factory identity, without a new voucher, with no check switched off',
    outcome:
      'OPERATIONAL by RECOVER, 2 enrolments: simpleenroll by lab box, simpleenroll by lab box; vouchers asked for: 1',
    told: '',
    run: async () => {
      const later = NOW_MS + 200 * DAY_MS;
      await runUntil('OPERATIONAL');
      const asked = [...bench.controller.asked];
      const renewed = await startController({ ...bench.authorities, server: serverAt(later) });
      try {
        renewed.behaviour.issue = (request) =>
          issueCertificate({
            profile: { kind: 'ldevid', gatewayId: GATEWAY },
            publicKey: request.publicKey,
            issuer: bench.authorities.domain,
            validity: { notBeforeMs: later - 60_000, notAfterMs: later + 90 * DAY_MS },
          });
        bench.box.clock.setMs(later);
        await bench.box.run({
          controller: moved(renewed),
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
          told: '',
        };
      } finally {
        await renewed.close();
      }
    },
  },
]);

/** Not content with a state that the journal holds already. */
const runUntilEntered = (state: BootstrapState): Promise<boolean> =>
  bench.box.run({ controller: bench.controller, until: (line) => line.fields['state'] === state });
const serverProfile = (name: string) =>
  ({ kind: 'server', commonName: name, dnsNames: [name], ipAddresses: [] }) as const;
const serverAt = (atMs: number) =>
  issued(bench.authorities.domain, serverProfile(HOST), {
    notBeforeMs: atMs - DAY_MS,
    notAfterMs: atMs + 90 * DAY_MS,
  });
/** What the owner's record names leads to another process now. */
const moved = (to: TestController): TestController => ({
  ...to,
  connect: (options) => to.connect({ ...options, server: { ...options.server, port: to.port } }),
});

const CLOCKS = [
  ['today', NOW_MS],
  ['in 1970', 0],
  ['in 2045', In2045],
] as const;
const ended = { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS };
const IMPOSTORS: readonly (readonly [string, string, string, (all: Authorities) => Authorities['server']])[] =
  [
    [
      'of another CA (TLS interception)',
      'pki/untrusted',
      'The certificate of "controller.branchbox.example" is not trusted: no path leads from it to an anchor that must be used',
      (all) => issued(all.stranger, serverProfile(HOST)),
    ],
    [
      'of another name',
      'pki/untrusted',
      'controller.branchbox.example:PORT showed a certificate for another name',
      (all) => issued(all.domain, serverProfile('other.example')),
    ],
    [
      'with a gateway’s certificate',
      'pki/untrusted',
      'The certificate of "controller.branchbox.example" is not trusted: it does not carry the extended key usage 1.3.6.1.5.5.7.3.1',
      (all) => issued(all.domain, { kind: 'ldevid', gatewayId: HOST }),
    ],
    [
      'that has ended',
      'pki/expired',
      'The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2026-05-31T12:00:00.000Z',
      (all) => issued(all.domain, serverProfile(HOST), ended),
    ],
  ];

faultTable(
  'server of the owner',
  CLOCKS.flatMap(([when, atMs]) =>
    IMPOSTORS.map(
      ([what, code, told, make]): FaultRow => ({
        fault: `${what}, the clock ${when}`,
        must: 'refuse it, send it neither request nor key',
        outcome: `${code} in OWNED, 0 enrolments`,
        told: `${code}: ${told}`,
        run: async () => {
          const impostor = await startController({ ...bench.authorities, server: make(bench.authorities) });
          const box = await createBox(bench.authorities, impostor.port);
          try {
            box.clock.setMs(atMs);
            await box.run({
              controller: impostor,
              until: (line) => failed(line) || line.fields['state'] === 'ENROLLING',
            });
            const line = box.log.findLast(failed);
            const state = await stateOf({ ...bench, box });
            return {
              outcome: `${String(line?.fields['code'])} in ${state}, ${impostor.enrolments.length} enrolments`,
              told: problemOf(line),
            };
          } finally {
            await box.remove();
            await impostor.close();
          }
        },
      }),
    ),
  ),
);
