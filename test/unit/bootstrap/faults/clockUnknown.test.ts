/**
 * Rows of the fault table: a box in service that starts with a clock in 1970 and has no time server, so that nothing but
 * its floor is known, however long it was off.
 */
import { quarantinePath } from '../../../../src/bootstrap/paths.ts';
import type { BootstrapState, Quarantine } from '../../../../src/model/bootstrap.ts';
import { issueCertificate } from '../../../../src/pki/issue.ts';
import { createVoucher } from '../../../../src/pki/voucher.ts';
import { DAY_MS, GATEWAY, HOST, issued, NOW_MS, SERIAL } from '../authorities.ts';
import type { LogLine } from '../box.ts';
import { createFaultBench, failed } from '../faultBench.ts';
import { everywhereTo, json, startController, type TestController } from '../servers.ts';
import { type FaultRow, faultTable, IN_SERVICE, problemOf, type Seen, toldBy } from './table.ts';

const bench = createFaultBench();
const FIVE_YEARS_MS = 5 * 365 * DAY_MS;
const read = (name: string): Promise<string | undefined> =>
  bench.box.files.readText(`${bench.box.paths.state}/${name}`);
const enters =
  (state: BootstrapState) =>
  ({ message, fields }: LogLine): boolean =>
    message === 'bootstrap state entered' && fields['state'] === state;
const toldNothing = ({ message }: LogLine): boolean => message === 'bootstrap server told no time';
const didNotSay = ({ message }: LogLine): boolean => message === 'the owner did not say how this box stands';

/** Of the world in which the box starts again; each server of it has its own clock. */
interface Later {
  readonly controller: TestController;
  readonly nowMs: () => number;
  /** How far the clock is ahead: of the CA, and of who makes vouchers. */
  readonly ahead: { caMs: number; voucherMs: number };
  run(until: (line: LogLine) => boolean, lookAt: (line: LogLine) => boolean): Promise<void>;
}

/** In service, then off for so long; its clock begins in 1970. The certificate of each server is as old as one renewed in time. */
async function offFor(days: number, look: (later: Later) => Promise<Seen>): Promise<Seen> {
  const { box, authorities } = bench;
  await box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  box.clock.setMs(7_000);
  const offsetMs = NOW_MS + days * DAY_MS - box.clock.monotonicMs();
  const nowMs = (): number => offsetMs + box.clock.monotonicMs();
  const validity = { notBeforeMs: nowMs() - DAY_MS, notAfterMs: nowMs() + 90 * DAY_MS };
  const server = { kind: 'server', commonName: HOST, dnsNames: [HOST], ipAddresses: [] } as const;
  const controller = await startController({
    ...authorities,
    server: issued(authorities.domain, server, validity),
    ownerSigner: issued(authorities.domain, { kind: 'owner', commonName: 'owner' }, validity),
  });
  const ahead = { caMs: 0, voucherMs: 0 };
  const { artefacts } = controller.behaviour;
  controller.behaviour.artefacts = (nonce) => ({
    ...artefacts(nonce),
    voucher: createVoucher({
      voucher: {
        serialNumber: SERIAL,
        assertion: 'verified',
        createdOnMs: nowMs() + ahead.voucherMs,
        expiresOnMs: undefined,
        nonce,
        idevidIssuer: authorities.idevid.certificate.authorityKeyId,
        pinnedDomainCert: authorities.domain.certificate,
      },
      signer: authorities.voucherSigner,
    }),
  });
  controller.behaviour.issue = ({ publicKey }) =>
    issueCertificate({
      profile: { kind: 'ldevid', gatewayId: GATEWAY },
      publicKey,
      issuer: authorities.domain,
      validity: {
        notBeforeMs: nowMs() + ahead.caMs - 60_000,
        notAfterMs: nowMs() + ahead.caMs + 90 * DAY_MS,
      },
    });
  // As a real one, it looks at dates.
  controller.behaviour.ping = (peer) => {
    if (peer === undefined) return json({}, 401);
    const counts = peer.notBeforeMs <= nowMs() && nowMs() < peer.notAfterMs;
    return counts && [GATEWAY, 'lab box'].includes(peer.subject.commonName ?? '')
      ? json({ ok: true })
      : json({}, 401);
  };
  try {
    const connected = { ...controller, connect: everywhereTo(controller) };
    const run: Later['run'] = async (until, lookAt) => {
      await box.run({ controller: connected, until, lookAt });
    };
    return await look({ controller, nowMs, ahead, run });
  } finally {
    await controller.close();
  }
}

/** Where the floor stands: where the box's first voucher put it, or at the beginning of the certificate that it has. */
async function floorNow({ nowMs }: Later): Promise<string> {
  const floorMs = Number(await read('clock-floor'));
  if (floorMs === NOW_MS) return 'its floor where it was';
  const behindMs = nowMs() - floorMs;
  return behindMs >= 0 && behindMs < DAY_MS ? 'its floor at now' : `its floor ${behindMs} ms behind now`;
}

/**
 * One start of the box, until it has its next certificate. The first line that is `fault` is what was seen of it; from
 * then on it is mended.
 */
async function until(
  later: Later,
  fault: (line: LogLine) => boolean,
  mend: () => void = () => undefined,
): Promise<Seen> {
  const { controller, run } = later;
  const states: string[] = [];
  let seen: { readonly line: LogLine; readonly floor: Promise<string> } | undefined;
  await run((line) => {
    if (line.message === 'bootstrap state entered') states.push(String(line.fields['state']));
    if (seen === undefined && fault(line)) {
      seen = { line, floor: floorNow(later) };
      mend();
    }
    return enters('OPERATIONAL')(line);
  }, fault);
  const after = `${states.join(' ')}, ${controller.enrolments.join(', ')}, ${await floorNow(later)}`;
  return {
    outcome: `${String(seen?.line.fields['code'])}, ${await seen?.floor}; ${after}`,
    told:
      seen !== undefined && failed(seen.line)
        ? problemOf(seen.line).replace(/(begins \d{4}).*/, '$1')
        : toldBy(bench.box),
  };
}

/** While the owner's server is not believed: its certificate begins a day before what is now. */
const notBelieved = (begins: string): string =>
  `OPERATIONAL, waits for nothing; notice: whether the owner still trusts this box was asked, and not answered by the owner: pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" begins ${begins}; the box stays as it is and asks again; mend: nothing to do`;
const AFTER_730_DAYS = notBelieved('2028-05-30T12:00:00.000Z');

const comesBack = (days: number, outcome: string, told: string): FaultRow => ({
  fault: `off for ${days} days`,
  must: 'believe no server whose date does not fit; ask for a voucher, know the time by it, and have a new certificate',
  outcome,
  told,
  run: () => offFor(days, (later) => until(later, didNotSay)),
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
      offFor(730, (later) => {
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
      offFor(730, (later) => {
        later.ahead.voucherMs = FIVE_YEARS_MS;
        return until(later, failed, () => {
          later.ahead.voucherMs = 0;
        });
      }),
  },
  {
    fault: 'off for 730 days, and no bootstrap server tells the time for a while',
    must: 'go on with what it has, ask again later, and believe no server of the owner more for it',
    outcome:
      'bootstrap/refused, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    told: AFTER_730_DAYS,
    run: () =>
      offFor(730, (later) => {
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
      offFor(730, async (later) => {
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
      offFor(0, (later) => {
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
      offFor(0, (later) => {
        later.ahead.caMs = FIVE_YEARS_MS;
        return until(later, failed, () => {
          later.ahead.caMs = 0;
        });
      }),
  },
]);

/** As the kernel shows it. The system's clock did not start from it: its driver came too late. */
const setHardwareClock = async (atMs: number): Promise<void> => {
  await bench.box.files.writeDurable(
    `${bench.box.paths.hardwareClocks}/rtc0/since_epoch`,
    `${Math.floor(atMs / 1000)}\n`,
  );
};

/** Off for two years; the hardware's clock then says `saysMs`, or what is right and so much more. */
const hardware = (
  fault: string,
  must: string,
  outcome: string,
  clockMs: (nowMs: number) => number,
  told: string,
): FaultRow => ({
  fault: `off for 730 days, the hardware's clock ${fault}`,
  must,
  outcome,
  told,
  run: () =>
    offFor(730, async (later) => {
      await setHardwareClock(clockMs(later.nowMs()));
      let vouchers = 0;
      const { artefacts } = later.controller.behaviour;
      later.controller.behaviour.artefacts = (nonce) => {
        vouchers += 1;
        return artefacts(nonce);
      };
      const { outcome: seen, told } = await until(later, didNotSay);
      return {
        outcome: `${vouchers} vouchers; ${seen.replace('undefined, undefined', 'nothing refused')}`,
        told,
      };
    }),
});

faultTable('clock in 1970 in service, and a hardware clock', [
  hardware(
    'right',
    'know the time by it, and ask nobody',
    '0 vouchers; nothing refused; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    (nowMs) => nowMs,
    IN_SERVICE,
  ),
  hardware(
    'in 1970',
    'know nothing by it',
    '1 vouchers; pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    () => 7_000,
    AFTER_730_DAYS,
  ),
  hardware(
    'in 2045',
    'know nothing by it',
    '1 vouchers; pki/expired, its floor where it was; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    () => Date.UTC(2045, 0, 1),
    AFTER_730_DAYS,
  ),
  hardware(
    'three years ahead',
    'be told better by a voucher',
    '1 vouchers; nothing refused; RECOVER OPERATIONAL, simpleenroll by lab box, its floor at now',
    (nowMs) => nowMs + 3 * 365 * DAY_MS,
    IN_SERVICE,
  ),
]);
