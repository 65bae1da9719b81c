/**
 * Owns what has to be there before the controller can do anything: its configuration, files that it names, the signer.
 * Does not own what is in them.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import { type ControllerConfig, parseControllerConfig } from './config.ts';
import type { SignerAnchors, SignerClient } from './signer/client.ts';

const SIGNER_RETRY_MS = 500;

export async function readConfig(files: Files, path: string): Promise<ControllerConfig> {
  return parseControllerConfig(await readNeeded(files, path));
}

export async function readNeeded(files: Files, path: string): Promise<string> {
  const text = await files.readText(path);
  if (text !== undefined) return text;
  throw new BranchboxError('system/file', {
    message: `${path} is not there`,
    mend: 'name it in the configuration',
  });
}

/** The three processes start together; without the signer there is no anchor to listen with. */
export async function awaitSigner(options: {
  readonly signer: SignerClient;
  readonly clock: Clock;
  readonly log: Logger;
  readonly signal: AbortSignal;
}): Promise<SignerAnchors> {
  let told = false;
  for (;;) {
    try {
      return await options.signer.anchors();
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError) || thrown.code !== 'controller/unreachable') throw thrown;
      if (!told) options.log.warn('waiting for the signer', { error: thrown });
      told = true;
      await options.clock.sleep(SIGNER_RETRY_MS, options.signal);
    }
  }
}
