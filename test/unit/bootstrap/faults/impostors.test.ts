/** Rows of the fault table: who answers in the place of the owner's server, and must be refused whatever the clock says. */
import { serverNamed } from '../../pki/domain.ts';
import { type Authorities, DAY_MS, HOST, issued, NOW_MS } from '../authorities.ts';
import { createBox } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { startController } from '../servers.ts';
import { type FaultRow, faultTable, problemOf, stateOf } from './table.ts';

const bench = createFaultBench();

const CLOCKS = [
  ['today', NOW_MS],
  ['in 1970', 0],
  ['in 2045', Date.UTC(2045, 6, 1)],
] as const;
const ended = { notBeforeMs: NOW_MS - 9 * DAY_MS, notAfterMs: NOW_MS - DAY_MS };
const IMPOSTORS: readonly (readonly [string, string, string, (all: Authorities) => Authorities['server']])[] =
  [
    [
      'of another CA (TLS interception)',
      'pki/untrusted',
      'The certificate of "controller.branchbox.example" is not trusted: no path leads from it to an anchor that must be used. Is TLS intercepted on the way (captive portal, inspecting firewall)?',
      (all) => issued(all.stranger, serverNamed(HOST)),
    ],
    [
      'of another name',
      'pki/untrusted',
      'controller.branchbox.example:PORT showed a certificate for another name',
      (all) => issued(all.domain, serverNamed('other.example')),
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
      (all) => issued(all.domain, serverNamed(HOST), ended),
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
