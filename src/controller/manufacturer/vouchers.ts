/**
 * Owns the manufacturer's decision who gets a voucher: first owner wins until it lets go.
 * Does not own the voucher's form (pki/voucher) nor how a customer is known (server.ts).
 */
import type { z } from 'zod';
import { BranchboxError } from '../../model/errors.ts';
import { momentOf } from '../../model/dateAndTime.ts';
import { fromBase64, toBase64 } from '../../pki/base64.ts';
import { parseCertificate } from '../../pki/certificate.ts';
import { keyIdOf } from '../../pki/issue.ts';
import { createVoucher } from '../../pki/voucher.ts';
import type { Clock, Logger } from '../../system/ports.ts';
import { createSerialQueue } from '../../system/serialQueue.ts';
import type { DeviceRecord, Devices } from './devices.ts';
import type { ManufacturerKeys } from './keys.ts';
import type { ReleaseRequest, VoucherRequest } from './messages.ts';

/** A voucher without a nonce opens a box to whoever holds it, for as long as it lasts. */
const MAX_NONCELESS_MS = 366 * 86_400_000;

export interface VoucherDesk {
  /** CMS, DER. */
  issue(customer: string, request: z.output<typeof VoucherRequest>): Promise<Uint8Array>;
  release(customer: string, request: z.output<typeof ReleaseRequest>): Promise<void>;
}

export function createVoucherDesk(options: {
  readonly keys: ManufacturerKeys;
  readonly devices: Devices;
  readonly clock: Clock;
  readonly log: Logger;
}): VoucherDesk {
  const { keys, devices, clock, log } = options;
  // One at a time: two customers that ask for one box at once must not both find it free.
  const inTurn = createSerialQueue();

  const known = async (serial: string): Promise<DeviceRecord> => {
    const device = await devices.find(serial);
    if (device !== undefined) return device;
    throw new BranchboxError('controller/not-found', {
      message: `No device with serial ${serial} was made here`,
    });
  };

  return {
    issue: (customer, request) =>
      inTurn(async () => {
        const nowMs = clock.nowMs();
        const device = await known(request.serialNumber);
        const idevidIssuer = keys.ca.certificate.subjectKeyId ?? keyIdOf(keys.ca.certificate.publicKey);
        if (request.idevidIssuer !== undefined && request.idevidIssuer !== toBase64(idevidIssuer)) {
          throw new BranchboxError('pki/mismatch', {
            message: `The IDevID of ${device.serial} was issued by another CA`,
          });
        }
        const pinnedDomainCert = parseCertificate(fromBase64(request.pinnedDomainCert));
        const { voucherSigner, voucherCa } = keys;
        const until = [pinnedDomainCert, voucherSigner.certificate, voucherCa.certificate];
        const expiresOnMs = expiryOf(request, nowMs, Math.min(...until.map(({ notAfterMs }) => notAfterMs)));
        const owner = device.owner ?? { customer, sinceMs: nowMs };
        if (owner.customer !== customer) {
          throw new BranchboxError('controller/refused', {
            message: `Device ${device.serial} has another owner`,
            mend: `its owner must let go of it first: branchbox fleet disown ${device.serial} --yes, at their controller`,
          });
        }
        // The owner is bound before the voucher exists: a crash between leaves too little given away, never too much.
        if (device.owner === undefined) await devices.save({ ...device, owner });
        await devices.audit({
          serial: device.serial,
          customer,
          issuedAtMs: nowMs,
          nonced: request.nonce !== undefined,
          ...(expiresOnMs === undefined ? {} : { expiresOnMs }),
          domainFingerprint: pinnedDomainCert.fingerprintSha256,
        });
        log.info('voucher issued', { serial: device.serial, customer, nonced: request.nonce !== undefined });
        return createVoucher({
          voucher: {
            serialNumber: device.serial,
            // `logged` says what is true: nothing of a sale is known here, only that it is on record.
            assertion: 'logged',
            createdOnMs: nowMs,
            expiresOnMs,
            nonce: request.nonce === undefined ? undefined : fromBase64(request.nonce),
            idevidIssuer,
            pinnedDomainCert,
          },
          signer: keys.voucherSigner,
        });
      }),
    release: (customer, { serialNumber }) =>
      inTurn(async () => {
        const { owner, ...device } = await known(serialNumber);
        if (owner?.customer !== customer) {
          throw new BranchboxError('controller/refused', {
            message:
              owner === undefined
                ? `Device ${serialNumber} has no owner`
                : `Device ${serialNumber} is not yours`,
            mend:
              owner === undefined
                ? 'nothing to do: who asks for it next owns it'
                : `its owner lets go of it: branchbox fleet disown ${serialNumber} --yes, at their controller`,
          });
        }
        await devices.save(device);
        log.info('device released', { serial: serialNumber, customer });
      }),
  };
}

/**
 * No later than `untilMs`, when what it stands on ends: the certificate that it pins opens no box after that, nor does a
 * voucher of which the signer's chain has ended.
 */
function expiryOf(
  request: z.output<typeof VoucherRequest>,
  nowMs: number,
  untilMs: number,
): number | undefined {
  if (untilMs <= nowMs) {
    throw new BranchboxError('model/invalid', {
      message: `A voucher would be of no use: the certificate to pin, or its signer's, ended ${new Date(untilMs).toISOString()}`,
    });
  }
  if (request.nonce !== undefined) {
    if (request.expiresOn === undefined) return undefined;
    throw new BranchboxError('model/invalid', {
      message: 'A voucher with a nonce has no expiry (RFC 8366 5.3)',
    });
  }
  const expiresOnMs = momentOf(request.expiresOn ?? '') ?? Number.NaN;
  if (expiresOnMs > nowMs && expiresOnMs <= nowMs + MAX_NONCELESS_MS) return Math.min(expiresOnMs, untilMs);
  throw new BranchboxError('model/invalid', {
    message: 'A voucher without a nonce expires, later than now and within a year',
  });
}
