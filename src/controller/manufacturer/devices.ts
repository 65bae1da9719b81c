/**
 * Owns what the manufacturer remembers: each device it made, who owns it, and every voucher it ever signed.
 * Does not own the decision who may own one (vouchers.ts).
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import type { Files } from '../../system/ports.ts';

/** Fits a PrintableString and a file name: letters, digits, dots, dashes and underscores. */
export const Serial = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/, 'a serial of at most 64 letters, digits, dots and dashes');

const Hex = z.string().regex(/^[0-9a-f]+$/);

const DeviceRecord = z.strictObject({
  schema: z.literal(1),
  serial: Serial,
  model: z.string(),
  /** Of the IDevID's key: the same serial with another key is another box. */
  spkiSha256: Hex,
  madeAtMs: z.number(),
  owner: z
    .strictObject({
      customer: z.string(),
      sinceMs: z.number(),
    })
    .optional(),
});
export type DeviceRecord = z.output<typeof DeviceRecord>;

export interface VoucherIssued {
  readonly serial: string;
  readonly customer: string;
  readonly issuedAtMs: number;
  readonly nonced: boolean;
  readonly expiresOnMs?: number;
  /** SHA-256 of the pinned certificate. */
  readonly domainFingerprint: string;
}

export interface Devices {
  find(serial: string): Promise<DeviceRecord | undefined>;
  save(record: DeviceRecord): Promise<void>;
  /** One file a voucher, written before the voucher leaves: an audit log that is never rewritten. */
  audit(entry: VoucherIssued): Promise<void>;
}

export function createDevices(options: { readonly files: Files; readonly directory: string }): Devices {
  const { files, directory } = options;
  const pathOf = (serial: string): string => {
    // Checked here too: a serial becomes part of a path.
    if (!Serial.safeParse(serial).success) {
      throw new BranchboxError('controller/not-found', { message: 'No device has such a serial' });
    }
    return join(directory, 'devices', `${serial}.json`);
  };
  return {
    async find(serial) {
      const text = await files.readText(pathOf(serial));
      return text === undefined ? undefined : decodeJson(DeviceRecord, text, `The record of ${serial}`);
    },
    async save(record) {
      await files.writeDurable(pathOf(record.serial), `${JSON.stringify(record, undefined, 2)}\n`);
    },
    async audit(entry) {
      const name = `${new Date(entry.issuedAtMs).toISOString()}-${randomBytes(4).toString('hex')}.json`;
      await files.writeDurable(
        join(directory, 'audit', name.replaceAll(':', '')),
        `${JSON.stringify(entry)}\n`,
      );
    },
  };
}
