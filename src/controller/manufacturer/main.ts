/**
 * Owns putting the manufacturer's process together on the real machine. Does not own what it does.
 */
import { BranchboxError } from '../../model/errors.ts';
import { runLongLived } from '../../system/linux/longLived.ts';
import { createLinuxSystem } from '../../system/linux/system.ts';
import { type IdentityMade, makeIdentity } from './identity.ts';
import { initManufacturer } from './keys.ts';
import { serveManufacturer } from './server.ts';

/** One in PEM has some 500 bytes. */
const MAX_REQUEST_BYTES = 64 * 1024;

export async function runInit(options: {
  readonly directory: string;
  readonly dnsName: string;
  readonly addresses: readonly string[];
}): Promise<void> {
  await initManufacturer({ ...createLinuxSystem({ name: 'manufacturer' }), ...options });
}

export async function runServe(options: {
  readonly directory: string;
  readonly host: string;
  readonly port: number;
  readonly version: string;
}): Promise<void> {
  const { files, clock, log } = createLinuxSystem({ name: 'manufacturer' });
  const { version, ...where } = options;
  await runLongLived({ name: 'manufacturer', version }, (signal) =>
    serveManufacturer({ files, clock, log, signal, ...where }),
  );
}

export async function runIdentity(options: {
  readonly directory: string;
  readonly serial: string;
  readonly model: string;
  readonly out: string;
  /** A file: the request of a box whose TPM holds the key. */
  readonly requestPath?: string | undefined;
}): Promise<IdentityMade> {
  const { requestPath, ...rest } = options;
  const system = createLinuxSystem({ name: 'manufacturer' });
  const request =
    requestPath === undefined ? undefined : await system.files.readText(requestPath, MAX_REQUEST_BYTES);
  if (requestPath !== undefined && request === undefined) {
    throw new BranchboxError('cli/usage', {
      message: `There is no request at ${requestPath}`,
      mend: 'name the file that `branchbox identity request` of that box was written to',
    });
  }
  return makeIdentity({ ...system, ...rest, request });
}
