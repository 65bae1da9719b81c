/** Rows of the fault table: a manufacturer whose clock is years ahead for a while, and so the vouchers that it makes. */
import { createVoucher } from '../../../../src/pki/voucher.ts';
import { DAY_MS, issued, NOW_MS, SERIAL } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { everywhereTo, startController } from '../servers.ts';
import { type FaultRow, faultTable, problemOf, standing } from './table.ts';

const bench = createFaultBench();
const YEAR_MS = 365.25 * DAY_MS;

const voucherMadeAt = (createdOnMs: number, nonce: Uint8Array): Uint8Array =>
  createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs,
      expiresOnMs: undefined,
      nonce,
      idevidIssuer: bench.authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: bench.authorities.domain.certificate,
    },
    signer: bench.authorities.voucherSigner,
  });

faultTable('clock of the manufacturer', [
  {
    fault: 'five years ahead for a while',
    must: 'refuse what the owner signed (it seems to have ended), keep no floor by that voucher, and go on with a right one',
    outcome: 'OPERATIONAL, 1 enrolments, floor at the voucher',
    told: 'pki/expired: The chain of "owner" is not valid at that time: "owner" ended 2026-08-30T12:00:00.000Z',
    run: async () => {
      const { behaviour } = bench.controller;
      const { artefacts } = behaviour;
      behaviour.artefacts = (nonce) => ({
        ...artefacts(nonce),
        voucher: voucherMadeAt(NOW_MS + 5 * YEAR_MS, nonce),
      });
      await bench.box.run({ controller: bench.controller, until: failed });
      behaviour.artefacts = artefacts;
      await bench.box.run({ controller: bench.controller, until: 'OPERATIONAL' });
      return { outcome: (await standing(bench)).outcome, told: problemOf(bench.box.log.find(failed)) };
    },
  },
  ...[false, true].map(
    (again): FaultRow => ({
      fault: `two years ahead for a while, and what the owner signs lasts for four${again ? '; started again in OWNED' : ''}`,
      must: 'refuse the owner’s server (it seems to have ended), keep no floor by that voucher, and go on with a right one',
      outcome: 'OPERATIONAL, 1 enrolments, floor at the voucher',
      told: again
        ? 'DISCOVER by that start, with no failure'
        : 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2026-08-30T12:00:00.000Z',
      run: async () => {
        const { authorities, box } = bench;
        const profile = { kind: 'owner', commonName: 'owner' } as const;
        const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 4 * YEAR_MS };
        const lasting = await startController({
          ...authorities,
          ownerSigner: issued(authorities.domain, profile, validity),
        });
        try {
          const { behaviour } = lasting;
          const { artefacts } = behaviour;
          const controller = { ...lasting, connect: everywhereTo(lasting) };
          behaviour.artefacts = (nonce) => ({
            ...artefacts(nonce),
            voucher: voucherMadeAt(NOW_MS + 2 * YEAR_MS, nonce),
          });
          await box.run({ controller, until: again ? 'OWNED' : failed });
          behaviour.artefacts = artefacts;
          await box.run({ controller, until: 'OPERATIONAL' });
          const failure = box.log.find(failed);
          const { outcome } = await standing(bench);
          const floor =
            Number(await box.files.readText(`${box.paths.state}/clock-floor`)) === NOW_MS
              ? ', floor at the voucher'
              : '';
          return {
            outcome: `${outcome.split(',')[0]}, ${lasting.enrolments.length} enrolments${floor}`,
            told:
              again && failure === undefined ? 'DISCOVER by that start, with no failure' : problemOf(failure),
          };
        } finally {
          await lasting.close();
        }
      },
    }),
  ),
]);
