/**
 * Owns the world in which a box in service starts again after years without power: its clock begins in 1970, each server has
 * a clock of its own. Does not own any fault, nor what the box has to tell the time by.
 */
import type { BootstrapState } from '../../../../src/model/bootstrap.ts';
import { issueCertificate } from '../../../../src/pki/issue.ts';
import { createVoucher } from '../../../../src/pki/voucher.ts';
import { serverNamed } from '../../pki/domain.ts';
import { DAY_MS, GATEWAY, HOST, issued, NOW_MS, SERIAL } from '../authorities.ts';
import type { Box, LogLine } from '../box.ts';
import { type FaultBench, failed } from '../faultBench.ts';
import { everywhereTo, json, startController, type TestController } from '../servers.ts';
import { problemOf, type Seen, toldBy } from './table.ts';

const enters =
  (state: BootstrapState) =>
  ({ message, fields }: LogLine): boolean =>
    message === 'bootstrap state entered' && fields['state'] === state;
export const didNotSay = ({ message }: LogLine): boolean =>
  message === 'the owner did not say how this box stands';

/** Of the world in which the box starts again; each server of it has its own clock. */
export interface Later {
  readonly box: Box;
  readonly controller: TestController;
  readonly nowMs: () => number;
  /** How far the clock is ahead: of the CA, and of who makes vouchers. */
  readonly ahead: { caMs: number; voucherMs: number };
  run(until: (line: LogLine) => boolean, lookAt: (line: LogLine) => boolean): Promise<void>;
}

/** In service, then off for so long; its clock begins in 1970. The certificate of each server is as old as one renewed in time. */
export async function offFor(
  bench: FaultBench,
  days: number,
  look: (later: Later) => Promise<Seen>,
): Promise<Seen> {
  const { box, authorities } = bench;
  await box.run({ controller: bench.controller, until: 'OPERATIONAL' });
  box.clock.setMs(7_000);
  const offsetMs = NOW_MS + days * DAY_MS - box.clock.monotonicMs();
  const nowMs = (): number => offsetMs + box.clock.monotonicMs();
  const validity = { notBeforeMs: nowMs() - DAY_MS, notAfterMs: nowMs() + 90 * DAY_MS };
  const server = serverNamed(HOST);
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
    return await look({ box, controller, nowMs, ahead, run });
  } finally {
    await controller.close();
  }
}

/** Where the floor stands: where the box's first voucher put it, or at the beginning of the certificate that it has. */
async function floorNow({ box, nowMs }: Later): Promise<string> {
  const floorMs = Number(await box.files.readText(`${box.paths.state}/clock-floor`));
  if (floorMs === NOW_MS) return 'its floor where it was';
  const behindMs = nowMs() - floorMs;
  return behindMs >= 0 && behindMs < DAY_MS ? 'its floor at now' : `its floor ${behindMs} ms behind now`;
}

/**
 * One start of the box, until it has its next certificate. The first line that is `fault` is what was seen of it; from
 * then on it is mended.
 */
export async function until(
  later: Later,
  fault: (line: LogLine) => boolean,
  mend: () => void = () => undefined,
): Promise<Seen> {
  const { box, controller, run } = later;
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
        : toldBy(box),
  };
}

/** While the owner's server is not believed: its certificate begins a day before what is now. */
export const notBelieved = (begins: string): string =>
  `OPERATIONAL, waits for nothing; notice: whether the owner still trusts this box was asked, and not answered by the owner: pki/expired: The chain of "controller.branchbox.example" is not valid at that time: "controller.branchbox.example" begins ${begins}; the box stays as it is and asks again; mend: nothing to do`;
export const AFTER_730_DAYS = notBelieved('2028-05-30T12:00:00.000Z');
