/**
 * The whole journey over a disk that loses what was not synced: the box is killed, and the power goes, behind every single
 * change that it makes to its files, ten times each, and it must end with one identity, and enrol no second time where the certificate
 * was on the disk. The box's real file port runs over it.
 */
import { createHash } from 'node:crypto';
import type * as FsPromises from 'node:fs/promises';
import { afterAll, beforeAll, expect, it, vi } from 'vitest';
import { Owner } from '../../../../src/model/bootstrap.ts';
import { decodeJson } from '../../../../src/model/decode.ts';
import { parseCertificates } from '../../../../src/pki/certificate.ts';
import { readRevocationLists } from '../../../../src/pki/crlVerify.ts';
import { importPrivateKey, publicKeyOf, sameKey } from '../../../../src/pki/keys.ts';
import { Secret } from '../../../../src/model/secret.ts';
import { createFiles } from '../../../../src/system/linux/files.ts';
import { type Authorities, createAuthorities, GATEWAY } from '../authorities.ts';
import { type Box, createBox } from '../box.ts';
import { withLists } from '../revoking.ts';
import { startController, type TestController } from '../servers.ts';
import { type DiskImage, SimulatedDisk } from './simulatedDisk.ts';

const ROOT = '/simulated';
const STATE = `${ROOT}/identity`;
const CUTS_OF_A_CHANGE = 10;

const mounted = vi.hoisted(() => ({ disk: undefined as SimulatedDisk | undefined }));
vi.mock('node:fs/promises', async (importActual) => {
  const actual = await importActual<typeof FsPromises>();
  const over =
    (name: 'mkdir' | 'open' | 'rename' | 'rm' | 'readdir') =>
    (path: string, ...rest: never[]) => {
      const { disk } = mounted;
      const call = disk !== undefined && path.startsWith('/simulated') ? disk.fs[name] : actual[name];
      return Reflect.apply(call, undefined, [path, ...rest]);
    };
  return {
    ...actual,
    mkdir: over('mkdir'),
    open: over('open'),
    rename: over('rename'),
    rm: over('rm'),
    readdir: over('readdir'),
  };
});

let authorities: Authorities;
let controller: TestController;
beforeAll(async () => {
  authorities = createAuthorities();
  controller = await startController(authorities);
  // One file more: what the owner revoked.
  withLists(authorities, controller);
});
afterAll(() => controller.close());

/** A box on this disk. */
async function boxOn(disk: SimulatedDisk): Promise<Box> {
  mounted.disk = disk;
  return createBox(authorities, controller.port, {
    files: { ...createFiles(), watch: () => {} },
    root: ROOT,
  });
}
const textOf = (image: DiskImage, name: string): string =>
  image.get(`${STATE}/${name}`)?.toString('utf8') ?? '';

/** Of the one identity that must be there; undefined where there is none whole. */
function identityOn(image: DiskImage): string | undefined {
  try {
    const [leaf] = parseCertificates(textOf(image, 'ldevid.crt'));
    const key = importPrivateKey(new Secret(textOf(image, 'ldevid.key')));
    if (leaf === undefined || !sameKey(leaf.publicKey, publicKeyOf(key))) return undefined;
    return leaf.fingerprintSha256;
  } catch {
    return undefined;
  }
}

it('a kill or a power cut behind any change of a file, ten times each, ends with one identity', async () => {
  const empty = new SimulatedDisk(new Map([[ROOT, undefined]]));
  const prepared = await boxOn(empty);
  await prepared.remove();
  const factory = empty.now();

  // Once without a cut: every change is recorded.
  const whole = new SimulatedDisk(factory);
  const first = await boxOn(whole);
  const prelude = whole.changes;
  await first.run({ controller, until: 'OPERATIONAL' });
  await first.remove();
  expect(identityOn(whole.now())).toBeDefined();
  expect(controller.enrolments).toHaveLength(1);

  // Many cuts leave the same disk: each is gone on from once.
  const left = new Map<string, { readonly image: DiskImage; readonly at: string }>();
  let cuts = 0;
  for (let count = prelude; count <= whole.changes; count += 1) {
    for (let seed = 0; seed <= CUTS_OF_A_CHANGE; seed += 1) {
      const image = whole.afterCut(count, seed);
      cuts += 1;
      // A temporary's name is random, and nobody reads it; that there is one counts.
      const named = [...image]
        .map(([path, bytes]) =>
          path.includes('/.') ? path.replace(/\.[0-9a-f]{12}$/, '') : `${path}=${bytes?.toString('base64')}`,
        )
        .toSorted();
      const key = createHash('sha256').update(named.join()).digest('hex');
      if (!left.has(key))
        left.set(key, { image, at: `cut ${count}/${seed}, behind: ${whole.describe(count)}` });
    }
  }

  const problems: string[] = [];
  for (const { image, at } of left.values()) {
    controller.enrolments.length = 0;
    const had = identityOn(image);
    const disk = new SimulatedDisk(image);
    const box = await boxOn(disk);
    await box.run({ controller, until: 'OPERATIONAL' });
    await box.remove();
    const after = disk.now();
    const identity = identityOn(after);
    if (identity === undefined) problems.push(`${at}: no identity`);
    if (had !== undefined && identity !== had) problems.push(`${at}: another identity`);
    if (had !== undefined && controller.enrolments.length > 0) problems.push(`${at}: enrolled again`);
    if (controller.enrolments.length > 1)
      problems.push(`${at}: enrolled ${controller.enrolments.length} times`);
    const owner = decodeJson(Owner, textOf(after, 'owner.json'), 'owner.json');
    if (owner.gatewayId !== GATEWAY) problems.push(`${at}: owned as ${owner.gatewayId}`);
    if (textOf(after, 'domain-anchor.pem') !== authorities.domain.certificate.pem)
      problems.push(`${at}: no anchor`);
    if (readRevocationLists(textOf(after, 'revocation-lists.pem')).length !== 1)
      problems.push(`${at}: not one revocation list`);
    if (after.has(`${STATE}/pending-owner.json`)) problems.push(`${at}: the pending record is left`);
    const temporary = [...after.keys()].filter((path) => path.startsWith(`${STATE}/.`));
    if (temporary.length > 0) problems.push(`${at}: ${temporary.length} temporary files are left`);
  }
  console.log(
    `power loss: ${whole.changes - prelude} changes, ${cuts} cuts, ${left.size} different disks gone on from`,
  );
  expect(problems).toEqual([]);
  expect(left.size).toBeGreaterThan(15);
}, 120_000);
