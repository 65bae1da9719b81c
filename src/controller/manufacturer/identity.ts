/**
 * Owns what the factory puts on a box: IDevID key and certificate, its chain, the voucher anchor, the serial.
 * Does not own a key that the box's TPM holds: of that a request comes, and the key stays where it is
 * (`branchbox identity request`).
 */
import type { KeyObject } from 'node:crypto';
import { join } from 'node:path';
import { BranchboxError } from '../../model/errors.ts';
import { ModelName } from '../../model/hardware.ts';
import { Serial } from '../../model/ids.ts';
import type { Secret } from '../../model/secret.ts';
import { issueCertificate, NO_EXPIRY_MS } from '../../pki/issue.ts';
import { exportPrivateKey, generateKeyPair } from '../../pki/keys.ts';
import { parseRequest } from '../../pki/request.ts';
import type { Clock, Files } from '../../system/ports.ts';
import { createDevices } from './devices.ts';
import { openManufacturerKeys } from './keys.ts';

const MAX_SERIAL_BYTES = 1024;

export interface IdentityMade {
  readonly serial: string;
  /** SHA-256 of the key, as inventories list it. */
  readonly spkiSha256: string;
}

/** Writes idevid.key (where the box did not make its own), idevid.crt, chain.pem, voucher-anchor.pem, serial and model. */
export async function makeIdentity(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly directory: string;
  readonly serial: string;
  readonly model: string;
  readonly out: string;
  /** PKCS#10 of the key that the box's TPM holds, PEM. The serial is taken from here only to be compared. */
  readonly request?: string | undefined;
}): Promise<IdentityMade> {
  const { files, clock, directory, serial, model, out } = options;
  if (!Serial.safeParse(serial).success) {
    throw new BranchboxError('cli/usage', {
      message: `"${serial}" is no serial: 1 to 64 letters, digits, dots, dashes and underscores, a letter or digit first`,
      mend: 'take the serial of the label without blanks and colons, for instance SN-1',
    });
  }
  if (!ModelName.safeParse(model).success) {
    throw new BranchboxError('cli/usage', {
      message: `"${model}" is no name of a hardware model: lower-case letters, digits and inner hyphens`,
      mend: 'take the name of a file in firmware/models, without .toml',
    });
  }
  const keys = await openManufacturerKeys({ files, clock, directory });
  const devices = createDevices({ files, directory });
  if ((await devices.find(serial)) !== undefined) {
    throw new BranchboxError('controller/conflict', {
      message: `Serial ${serial} has an identity already`,
      mend: 'a serial is given once; take another',
    });
  }
  await holdAgainstOther(files, out, serial);
  const { publicKey, keyPem } =
    options.request === undefined
      ? softwareKey()
      : { publicKey: keyOf(options.request, serial), keyPem: undefined };
  const nowMs = clock.nowMs();
  const certificate = issueCertificate({
    profile: { kind: 'idevid', serialNumber: serial, commonName: `Branchbox ${model}`.slice(0, 64) },
    publicKey,
    issuer: keys.ca,
    // From the CA's own beginning: the first clock a box has may be behind this one.
    validity: { notBeforeMs: keys.ca.certificate.notBeforeMs, notAfterMs: NO_EXPIRY_MS },
  });
  if (keyPem !== undefined) await files.writeDurable(join(out, 'idevid.key'), keyPem.reveal(), 0o600);
  await files.writeDurable(join(out, 'idevid.crt'), certificate.pem, 0o644);
  await files.writeDurable(join(out, 'chain.pem'), keys.ca.certificate.pem, 0o644);
  await files.writeDurable(join(out, 'voucher-anchor.pem'), keys.voucherCa.certificate.pem, 0o644);
  await files.writeDurable(join(out, 'serial'), `${serial}\n`, 0o644);
  await files.writeDurable(join(out, 'model'), `${model}\n`, 0o644);
  const { spkiSha256 } = certificate;
  await devices.save({ schema: 1, serial, model, spkiSha256, madeAtMs: nowMs });
  return { serial, spkiSha256 };
}

/** A serial is given once: the key of another box that is overwritten here is lost, and that box with it. */
async function holdAgainstOther(files: Files, out: string, serial: string): Promise<void> {
  const there = (await files.readText(join(out, 'serial'), MAX_SERIAL_BYTES))?.trim();
  if (there === undefined || there === serial) return;
  throw new BranchboxError('controller/conflict', {
    message: `${out} holds the identity of ${there}, which that of ${serial} would overwrite`,
    mend: 'name a directory for each box: --out',
  });
}

function softwareKey(): { readonly publicKey: KeyObject; readonly keyPem: Secret } {
  const { privateKey, publicKey } = generateKeyPair();
  return { publicKey, keyPem: exportPrivateKey(privateKey) };
}

/** That it is signed by its key is checked; a request made for another serial lay in the wrong place. */
function keyOf(request: string, serial: string): KeyObject {
  const { publicKey, subject } = parseRequest(request);
  if (subject.serialNumber === undefined || subject.serialNumber === serial) return publicKey;
  throw new BranchboxError('pki/mismatch', {
    message: `The request is for serial ${subject.serialNumber}, not for ${serial}`,
    mend: 'take the request that this box made',
  });
}
