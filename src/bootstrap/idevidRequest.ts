/**
 * Owns what a box does in the factory for a factory key that its TPM holds: the key, and the request for its certificate.
 * Does not own certifying it (controller/manufacturer).
 */
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import { toPemBlock } from '../pki/pem.ts';
import { createRequestBy } from '../pki/request.ts';
import type { Files, System } from '../system/ports.ts';
import { createTpmUse } from '../system/tpmUse.ts';
import type { DeviceKeys } from './deviceKeys.ts';
import { openDeviceKeys } from './tpmKeys.ts';

/**
 * Writes idevid.key into `directory`; resolves to the request, PEM. Throws cli/usage where there is a key already,
 * system/key-unusable where the TPM holds none: a factory that asks for it does not want to find out later.
 */
export async function requestIdevid(options: {
  readonly files: Files;
  readonly keys: DeviceKeys;
  readonly serial: string;
  readonly directory: string;
}): Promise<string> {
  const { files, keys, serial, directory } = options;
  const path = join(directory, 'idevid.key');
  if ((await files.readText(path)) !== undefined) {
    throw new BranchboxError('cli/usage', {
      message: `There is a key at ${path} already`,
      mend: 'remove it if nobody certified it; else this box has its identity',
    });
  }
  const key = await keys.make();
  if (key.holder !== 'tpm') {
    throw new BranchboxError('system/key-unusable', {
      message: `The TPM of this box holds no key: ${keys.readiness().why}`,
      mend: 'mend that, or have the manufacturer make a key in software (without --request)',
    });
  }
  await files.writeDurable(path, key.pem.reveal(), 0o600);
  return toPemBlock('CERTIFICATE REQUEST', await createRequestBy(key, { serialNumber: serial }));
}

/** requestIdevid by this box's own TPM, for a command in the factory. */
export function makeRequest(options: {
  readonly system: Pick<System, 'runner' | 'files' | 'log'>;
  readonly tpmTold: string | undefined;
  readonly serial: string;
  readonly directory: string;
}): Promise<string> {
  const { system, tpmTold, ...what } = options;
  const keys = openDeviceKeys({ system, use: createTpmUse(), told: tpmTold });
  return requestIdevid({ files: system.files, keys, ...what });
}
