/**
 * Owns certifying a box's key past its controller, as if time had gone by or a record were lost.
 */
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { createKeyFiles } from '../../src/controller/keyholder/keyFiles.ts';
import { parseCertificates } from '../../src/pki/certificate.ts';
import { issueCertificate } from '../../src/pki/issue.ts';
import { createFiles } from '../../src/system/linux/files.ts';
import { type BootstrapWorld, readText } from './bootstrapWorld.ts';

/** By the owner's first domain CA. */
export async function certifyPast(
  world: Pick<BootstrapWorld, 'directory'>,
  box: string,
  validity: { readonly notBeforeMs: number; readonly notAfterMs: number },
): Promise<void> {
  const ca = await createKeyFiles({ files: createFiles(), directory: join(world.directory, 'signer') }).load(
    'domain-ca',
  );
  const path = join(box, 'identity/ldevid.crt');
  const [current] = parseCertificates(await readText(path));
  if (ca === undefined || current === undefined) throw new Error('there is nothing to certify');
  const certificate = issueCertificate({
    profile: { kind: 'ldevid', gatewayId: current.subject.commonName ?? '' },
    publicKey: current.publicKey,
    issuer: ca,
    validity,
  });
  await writeFile(path, certificate.pem);
}
