/**
 * Owns what has to be there before the controller can do anything: its configuration, files that it names, the
 * manufacturer's client, the signer.
 * Does not own what is in them.
 */
import { BranchboxError } from '../model/errors.ts';
import { Secret } from '../model/secret.ts';
import { type Certificate, parseCertificates } from '../pki/certificate.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';
import { type ControllerConfig, parseControllerConfig } from './config.ts';
import { createManufacturerClient, type ManufacturerClient } from './manufacturer/client.ts';
import type { SignerAnchors, SignerClient } from './signer/client.ts';

const SIGNER_RETRY_MS = 500;

export async function readConfig(files: Files, path: string): Promise<ControllerConfig> {
  return parseControllerConfig(await readNeeded(files, path, 'name the one that is there: --config'), path);
}

export async function readNeeded(
  files: Files,
  path: string,
  mend = 'name it in the configuration',
): Promise<string> {
  const text = await files.readText(path);
  if (text !== undefined) return text;
  throw new BranchboxError('system/file', { message: `${path} is not there`, mend });
}

/** The client of its service, and the anchors of factory identities that are taken for its own. */
export async function openManufacturer(
  files: Files,
  named: ControllerConfig['manufacturer'],
): Promise<{ readonly manufacturer: ManufacturerClient; readonly manufacturers: readonly Certificate[] }> {
  const manufacturers = parseCertificates(await readNeeded(files, named.idevidAnchor));
  const manufacturer = createManufacturerClient({
    url: named.url,
    anchor: await readNeeded(files, named.tlsAnchor),
    clientCertificate: await readNeeded(files, named.clientCertificate),
    clientKey: new Secret(await readNeeded(files, named.clientKey)),
  });
  return { manufacturer, manufacturers };
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
