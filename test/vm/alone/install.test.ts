/**
 * A machine with an empty disk and a stick that comes before it, as somebody unpacks them: installed unattended, started
 * from its disk, and in the hands of the owner that the bootstrap medium on the same stick named, without that stick.
 */
import {
  constants,
  copyFileSync,
  mkdirSync,
  mkdtempSync,
  rmSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { dirname, join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { buildDisk, type Disk } from '../../../image/disk.ts';
import { MEDIUM_DIRECTORY, MEDIUM_FILES } from '../../../src/model/medium.ts';
import { ownerCertificate, signConveyed } from '../../../src/pki/conveyed.ts';
import { exportPrivateKey } from '../../../src/pki/keys.ts';
import { createVoucher } from '../../../src/pki/voucher.ts';
import { createRunner } from '../../../src/system/linux/runner.ts';
import {
  createAuthorities,
  DAY_MS,
  GATEWAY,
  issued,
  LASTING,
  ownerRecord,
  SERIAL,
} from '../../unit/bootstrap/authorities.ts';
import { onboarding } from '../../unit/bootstrap/servers.ts';
import { createLoneMachine, type LoneMachine } from './loneMachine.ts';

const DISK_BYTES = 8 * 2 ** 30;
const SECTOR_BYTES = 512;
/** Emulated, on a host that does other things too; a boot takes one to two minutes on an idle one. */
const STEP_MS = 600_000;
/** What the stick has of a network; the machine has no port at all. */
const NETWORK = {
  schema: 1,
  addressing: { kind: 'static', address: '192.0.2.5/24', gateway: '192.0.2.1', dns: ['192.0.2.53'] },
  bootstrapServers: [],
} as const;
/** By nothing but the medium: a machine without a network hears of no owner. */
const OWNED = new RegExp(`serial ${SERIAL} [^]*Identity {4}OWNED as ${GATEWAY}`);

/** What the factory and the owner put on the stick, by its place there. */
function filesOfStick(): ReadonlyMap<string, string | Uint8Array> {
  const authorities = createAuthorities();
  const owner = issued(authorities.domain, { kind: 'owner', commonName: 'owner' }, LASTING);
  const content = onboarding({ ...ownerRecord(authorities, 8443), network: NETWORK });
  const nowMs = Date.now();
  const voucher = createVoucher({
    voucher: {
      serialNumber: SERIAL,
      assertion: 'verified',
      createdOnMs: nowMs - DAY_MS,
      expiresOnMs: nowMs + 30 * DAY_MS,
      nonce: undefined,
      idevidIssuer: authorities.idevid.certificate.authorityKeyId,
      pinnedDomainCert: authorities.domain.certificate,
    },
    signer: authorities.voucherSigner,
  });
  const medium = `${MEDIUM_DIRECTORY}/${SERIAL}`;
  return new Map<string, string | Uint8Array>([
    ['branchbox/install.conf', 'finish=reboot\n'],
    ['branchbox/factory/idevid.key', exportPrivateKey(authorities.idevid.key).reveal()],
    ['branchbox/factory/idevid.crt', authorities.idevid.certificate.pem],
    ['branchbox/factory/chain.pem', authorities.manufacturer.certificate.pem],
    ['branchbox/factory/voucher-anchor.pem', authorities.manufacturer.certificate.pem],
    ['branchbox/factory/serial', `${SERIAL}\n`],
    [`${medium}/${MEDIUM_FILES.conveyed}`, signConveyed({ content, format: 'json', owner })],
    [`${medium}/${MEDIUM_FILES.ownerCertificate}`, ownerCertificate(owner)],
    [`${medium}/${MEDIUM_FILES.voucher}`, voucher],
  ]);
}

describe('a machine that is installed from a stick', () => {
  let image: Disk;
  let scratch: string;
  let disk: string;
  let stick: string;
  let box: LoneMachine;

  const tool = (...words: string[]): Promise<string> =>
    image.ingredients.toolbox.run([image.out, scratch], words);
  const espOf = async (raw: string): Promise<string> => {
    const { partitiontable } = JSON.parse(await tool('sfdisk', '--json', raw)) as {
      partitiontable: { partitions: { name: string; start: number }[] };
    };
    const found = partitiontable.partitions.find(({ name }) => name === 'esp');
    if (found === undefined) throw new Error(`${raw} has no EFI system partition`);
    return `${raw}@@${found.start * SECTOR_BYTES}`;
  };
  const listed = async (raw: string): Promise<string> =>
    tool('mdir', '-b', '-/', '-i', await espOf(raw), '::/branchbox');

  beforeAll(async () => {
    image = await buildDisk({}, { runner: createRunner(), say: () => {} });
    scratch = mkdtempSync(join(image.out, 'install-'));
    [disk, stick] = [join(scratch, 'disk'), join(scratch, 'stick')];
    copyFileSync(image.made.raw, stick, constants.COPYFILE_FICLONE);
    writeFileSync(disk, '');
    truncateSync(disk, DISK_BYTES);
    const tree = join(scratch, 'tree');
    for (const [path, content] of filesOfStick()) {
      mkdirSync(dirname(join(tree, path)), { recursive: true });
      writeFileSync(join(tree, path), content);
    }
    await tool('mcopy', '-s', '-i', await espOf(stick), join(tree, 'branchbox'), '::/');
    box = await createLoneMachine(image, scratch, disk);
  }, 1_200_000);
  afterAll(async () => {
    await box.stop();
    rmSync(scratch, { recursive: true, force: true });
  });

  it('has everything of its own on the disk, and starts from there though the stick comes first', async () => {
    await box.start(stick);
    await box.sees(/branchbox-install: installing [0-9.]+ to vda/, STEP_MS);
    await box.sees(new RegExp(`vda: bootstrap medium of ${SERIAL}`), STEP_MS);
    await box.sees(/branchbox-install: installed\./, STEP_MS);
    await box.sees(/branchbox-initrd: root is vda2 of vda/, STEP_MS);
    // Before anything of it could have been read off the stick.
    await box.stop();
    expect(await listed(disk)).toContain(`${MEDIUM_DIRECTORY}/${SERIAL}/${MEDIUM_FILES.voucher}`);
  });

  it('belongs to the owner of the medium at its first start, the stick long gone', async () => {
    await box.start();
    await box.sees(OWNED, STEP_MS);
    await box.stop();
    // What may name a password is not left where anybody reads it.
    expect(await listed(disk)).not.toContain(MEDIUM_DIRECTORY);
  });

  it('is not installed again where the stick stays in', async () => {
    await box.start(stick);
    await box.sees(/branchbox-install: vda was installed from this stick already/, STEP_MS);
    await box.sees(OWNED, STEP_MS);
  });
});
