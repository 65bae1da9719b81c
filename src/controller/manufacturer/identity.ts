/**
 * Owns what the factory puts on a box: IDevID key and certificate, its chain, the voucher anchor, the serial.
 * Does not own keeping the key in a TPM (the factory's line does that where there is one).
 */
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { Serial } from '../../model/ids.ts';
import { issueCertificate, NO_EXPIRY_MS } from '../../pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../pki/keys.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createDevices } from './devices.ts';
import { openManufacturerKeys } from './keys.ts';

export interface IdentityMade {
  readonly serial: string;
  /** SHA-256 of the key, as inventories list it. */
  readonly spkiSha256: string;
}

/** Writes idevid.key, idevid.crt, chain.pem, voucher-anchor.pem, serial and model. */
export async function makeIdentity(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly directory: string;
  readonly serial: string;
  readonly model: string;
  readonly out: string;
}): Promise<IdentityMade> {
  const { files, clock, directory, serial, model, out } = options;
  if (!Serial.safeParse(serial).success) {
    throw new BranchboxError('cli/usage', {
      message: `"${serial}" is no serial: letters, digits, dots and dashes`,
    });
  }
  if (!/^[a-z0-9][a-z0-9-]{0,62}$/.test(model)) {
    throw new BranchboxError('cli/usage', { message: `"${model}" is no name of a hardware model` });
  }
  const keys = await openManufacturerKeys({ files, clock, directory });
  const devices = createDevices({ files, directory });
  if ((await devices.find(serial)) !== undefined) {
    throw new BranchboxError('controller/conflict', {
      message: `Serial ${serial} has an identity already`,
      mend: 'a serial is given once; take another',
    });
  }
  const { privateKey, publicKey } = generateKeyPair();
  const nowMs = clock.nowMs();
  const certificate = issueCertificate({
    profile: { kind: 'idevid', serialNumber: serial, commonName: `Branchbox ${model}`.slice(0, 64) },
    publicKey,
    issuer: keys.ca,
    // From the CA's own beginning: the first clock a box has may be behind this one.
    validity: { notBeforeMs: keys.ca.certificate.notBeforeMs, notAfterMs: NO_EXPIRY_MS },
  });
  await files.writeDurable(join(out, 'idevid.key'), exportPrivateKey(privateKey).reveal(), 0o600);
  await files.writeDurable(join(out, 'idevid.crt'), certificate.pem, 0o644);
  await files.writeDurable(join(out, 'chain.pem'), keys.ca.certificate.pem, 0o644);
  await files.writeDurable(join(out, 'voucher-anchor.pem'), keys.voucherCa.certificate.pem, 0o644);
  await files.writeDurable(join(out, 'serial'), `${serial}\n`, 0o644);
  await files.writeDurable(join(out, 'model'), `${model}\n`, 0o644);
  const { spkiSha256 } = certificate;
  await devices.save({ schema: 1, serial, model, spkiSha256, madeAtMs: nowMs });
  return { serial, spkiSha256 };
}
