/**
 * Owns putting the signer's process together on the real machine. Does not own what it does.
 */
import { runLongLived } from '../../system/linux/longLived.ts';
import { createFiles } from '../../system/linux/files.ts';
import { createLinuxSystem } from '../../system/linux/system.ts';
import type { Certificate } from '../../pki/certificate.ts';
import { beginRollover, signByNext } from './rollover.ts';
import { serveSigner } from './server.ts';

export async function runSigner(options: {
  readonly directory: string;
  readonly socketPath: string;
  readonly version: string;
}): Promise<void> {
  const { files, clock, log } = createLinuxSystem({ name: 'signer' });
  const { version, ...where } = options;
  await runLongLived({ name: 'signer', version }, (signal) =>
    serveSigner({ files, clock, log, signal, ...where }),
  );
}

/** From the next start of the signer on. */
export const signByNextCa = (directory: string): Promise<Certificate> =>
  signByNext({ files: createLinuxSystem({ name: 'signer' }).files, directory });

/** The next domain CA first; a signer over the same directory offers it from its next answer on. */
export async function beginSignerRollover(directory: string): Promise<readonly Certificate[]> {
  const { clock } = createLinuxSystem({ name: 'signer' });
  return beginRollover({ files: createFiles(), clock, directory });
}
