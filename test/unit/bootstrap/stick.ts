/**
 * Owns a bootstrap medium for tests: the three artefacts of a good one, each of which a test may bend, and plugging it in
 * where firmware/medium-read puts what it copied. Does not own copying (test/lab/medium.test.ts).
 */
import { MEDIUM_FILES } from '../../../src/model/medium.ts';
import { ownerCertificate } from '../../../src/pki/conveyed.ts';
import { createVoucher, type Voucher } from '../../../src/pki/voucher.ts';
import { DAY_MS, NOW_MS, SERIAL } from './authorities.ts';
import { conveyedBy, type FaultBench, ownerOf } from './faultBench.ts';
import { onboarding } from './servers.ts';

export const STATIC_NETWORK = {
  schema: 1,
  addressing: { kind: 'static', address: '192.0.2.5/24', gateway: '192.0.2.1', dns: ['192.0.2.53'] },
  bootstrapServers: [],
} as const;

/** As udev names its file of it. */
const DEVICE = 'b8:17';

export interface StickTree {
  conveyed?: Uint8Array | undefined;
  ownerCertificate?: Uint8Array | undefined;
  voucher?: Uint8Array | undefined;
}

export const stickVoucher = (
  { authorities }: FaultBench,
  bent: Partial<Voucher> = {},
  by = authorities.voucherSigner,
): Uint8Array =>
  createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: NOW_MS - DAY_MS,
      expiresOnMs: NOW_MS + 30 * DAY_MS,
      nonce: undefined,
      idevidIssuer: authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: authorities.domain.certificate,
      ...bent,
    },
    signer: by,
  });

export const goodStick = (bench: FaultBench, network: unknown = STATIC_NETWORK): Required<StickTree> => ({
  conveyed: conveyedBy(bench, onboarding({ ...ownerOf(bench), network })),
  ownerCertificate: ownerCertificate(bench.authorities.ownerSigner),
  voucher: stickVoucher(bench),
});

export async function plugIn({ box }: FaultBench, tree: StickTree, name = 'sdb1'): Promise<void> {
  for (const [what, file] of Object.entries(MEDIUM_FILES)) {
    const bytes = tree[what as keyof StickTree];
    if (bytes !== undefined) await box.files.writeDurable(`${box.directory}/media/${name}/${file}`, bytes);
  }
}

export async function pullOut({ box }: FaultBench, name = 'sdb1'): Promise<void> {
  for (const file of Object.values(MEDIUM_FILES)) {
    await box.files.remove(`${box.directory}/media/${name}/${file}`);
  }
  await box.files.remove(`${box.directory}/udev/${DEVICE}`);
  await box.files.remove(`${box.directory}/sys/8:17/uevent`);
}

/** The one that is plugged in as `sdb1`: what udev and the kernel tell of it. */
export async function seenByUdev({ box }: FaultBench, fileSystem = 'vfat'): Promise<void> {
  const told = ['I:1', 'E:ID_BUS=usb', `E:ID_FS_TYPE=${fileSystem}`, ''];
  await box.files.writeDurable(`${box.directory}/udev/${DEVICE}`, told.join('\n'));
  await box.files.writeDurable(`${box.directory}/sys/8:17/uevent`, 'MAJOR=8\nMINOR=17\nDEVNAME=sdb1\n');
}
