/**
 * Owns the anchors as files, for whoever has to be pointed at this controller: clients, boxes, people.
 * Does not own any of them: they are the manufacturer's and the signer's.
 */
import { join } from 'node:path';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import { awaitSigner, readConfig, readNeeded } from './prerequisites.ts';
import { createSignerClient } from './signer/client.ts';

/** One that starts at the same moment has its keys to make. */
const SIGNER_PATIENCE_MS = 10_000;

/** Writes what a client needs to be pointed at this controller; the answer names each file. */
export async function writeAnchorFiles(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly configPath: string;
  readonly out: string;
  readonly patienceMs?: number;
}): Promise<Readonly<Record<string, string>>> {
  const { files, clock, log, patienceMs = SIGNER_PATIENCE_MS } = options;
  const config = await readConfig(files, options.configPath);
  const { socket } = config.signer;
  const signer = createSignerClient({ socketPath: socket });
  const impatience = AbortSignal.timeout(patienceMs);
  const { domain } = await awaitSigner({ signer, clock, log, signal: impatience }).catch(
    (thrown: unknown) => {
      if (thrown !== impatience.reason) throw thrown;
      throw new BranchboxError('controller/unreachable', {
        message: `the signer did not answer at ${socket} in ${patienceMs / 1000} s, and it alone has the domain CA`,
        mend: `start it (branchbox signer serve --state DIR --socket ${socket}), or correct [signer] in ${options.configPath}`,
      });
    },
  );
  const pems: Readonly<Record<string, string>> = {
    manufacturer: await readNeeded(files, config.manufacturer.idevidAnchor),
    voucher: await readNeeded(files, config.manufacturer.voucherAnchor),
    domain: domain.pem,
    // The bootstrap server's is of the domain as well.
    tls: domain.pem,
  };
  const written: Record<string, string> = {};
  for (const [name, pem] of Object.entries(pems)) {
    written[name] = join(options.out, `${name}.pem`);
    await files.writeDurable(written[name], pem, 0o644);
  }
  return { ...written, adminCredential: join(config.stateDir, 'admin.credential') };
}
