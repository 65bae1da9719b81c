/** Rows of the fault table: a manufacturer whose clock is years ahead for a while, and so the vouchers that it makes. */
import { createVoucher } from '../../../../src/pki/voucher.ts';
import { DAY_MS, issued, NOW_MS, SERIAL } from '../authorities.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { everywhereTo, startController } from '../servers.ts';
import { goodStick, plugIn, pullOut, stickVoucher } from '../stick.ts';
import { type FaultRow, faultTable, problemOf, standing } from './table.ts';

const bench = createFaultBench();
const YEAR_MS = 365.25 * DAY_MS;

const floorNow = async (): Promise<string> => {
  const floor = await bench.box.files.readText(`${bench.box.paths.state}/clock-floor`);
  return floor === undefined ? 'no floor' : `floor at ${new Date(Number(floor)).toISOString().slice(0, 10)}`;
};

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
  ...(
    [
      ['', NOW_MS, false],
      [', and the box is in 1970', 1_000, false],
      [', the box is in 1970, and is started again in OWNED', 1_000, true],
    ] as const
  ).map(
    ([also, boxMs, again]): FaultRow => ({
      fault: `two years ahead as it made a stick${also}`,
      must: 'refuse the owner’s server (it seems to have ended), keep no floor by that stick, and go on with a right one',
      outcome: `pki/expired in OWNED, no floor; mended in OPERATIONAL, 1 enrolments, floor at ${new Date(NOW_MS).toISOString().slice(0, 10)}`,
      told: 'pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" ended 2026-08-30T12:00:00.000Z',
      run: async () => {
        const { authorities, box } = bench;
        const profile = { kind: 'owner', commonName: 'owner' } as const;
        const validity = { notBeforeMs: NOW_MS - DAY_MS, notAfterMs: NOW_MS + 4 * YEAR_MS };
        const lastingOnes = { ...authorities, ownerSigner: issued(authorities.domain, profile, validity) };
        const lasting = await startController(lastingOnes);
        try {
          const controller = { ...lasting, connect: everywhereTo(lasting) };
          const right = goodStick({ ...bench, authorities: lastingOnes });
          const createdOnMs = NOW_MS + 2 * YEAR_MS;
          const ahead = stickVoucher(bench, { createdOnMs, expiresOnMs: createdOnMs + 30 * DAY_MS });
          box.clock.setMs(boxMs);
          await plugIn(bench, { ...right, voucher: ahead });
          if (again) await box.run({ controller, until: 'OWNED' });
          await box.run({ controller, until: failed });
          const failure = box.log.find(failed);
          const before = `${String(failure?.fields['code'])} in ${String(failure?.fields['state'])}, ${await floorNow()}`;
          await pullOut(bench);
          // Which leaves the box time to find its clock.
          box.clock.setMs(NOW_MS);
          await plugIn(bench, right, 'sdc1');
          await box.run({ controller, until: 'OPERATIONAL' });
          const { outcome } = await standing(bench);
          return {
            outcome: `${before}; mended in ${outcome.split(',')[0]}, ${lasting.enrolments.length} enrolments, ${await floorNow()}`,
            told: problemOf(failure),
          };
        } finally {
          await lasting.close();
        }
      },
    }),
  ),
]);
