/**
 * Owns what the manufacturer remembers: each device it made, who owns it, and which vouchers it signed.
 * Does not own the decision who may own one (vouchers.ts).
 */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { z } from 'zod';
import { decodeJson } from '../../model/decode.ts';
import { BranchboxError } from '../../model/errors.ts';
import { Serial } from '../../model/ids.ts';
import type { Files } from '../../system/ports.ts';

/**
 * How much of one device's log is kept. A box may ask at will, and each answer is one more entry of the same kind for the same
 * domain: only the last of such entries are kept, as RFC 8995 5.8 allows, so that they do not push out anything else.
 */
const VOUCHERS_KEPT = { alike: 10, ofDevice: 100 } as const;

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
  /** One file a voucher in `audit/<serial>/`, written before the voucher leaves and never rewritten; the oldest go. */
  audit(entry: VoucherIssued): Promise<void>;
}

export function createDevices(options: {
  readonly files: Pick<Files, 'readText' | 'writeDurable' | 'list' | 'remove'>;
  readonly directory: string;
}): Devices {
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
      const log = join(directory, 'audit', entry.serial);
      await files.writeDurable(join(log, nameOf(entry)), `${JSON.stringify(entry)}\n`);
      for (const name of surplusOf(await files.list(log))) await files.remove(join(log, name));
    },
  };
}

/** Sorts by time: `2026-01-31T120000.000Z-nonced-<of the domain>-<chance>.json`. */
function nameOf({ issuedAtMs, nonced, domainFingerprint }: VoucherIssued): string {
  const at = new Date(issuedAtMs).toISOString().replaceAll(':', '');
  const alike = `${nonced ? 'nonced' : 'nonceless'}-${domainFingerprint.slice(0, 16)}`;
  return `${at}-${alike}-${randomBytes(4).toString('hex')}.json`;
}

/** Pure. Names in the order of time → those that are more than is kept. */
function surplusOf(names: readonly string[]): readonly string[] {
  const kept = new Map<string, number>();
  let total = 0;
  return names.toReversed().filter((name) => {
    const alike = /Z-(.+)-[0-9a-f]+\.json$/.exec(name)?.[1];
    if (alike === undefined) return false;
    const before = kept.get(alike) ?? 0;
    if (before >= VOUCHERS_KEPT.alike || total >= VOUCHERS_KEPT.ofDevice) return true;
    kept.set(alike, before + 1);
    total += 1;
    return false;
  });
}
