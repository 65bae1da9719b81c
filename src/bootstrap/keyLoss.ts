/**
 * Owns telling how the keys of this box are: what holds each, and where one is lost, which one and what mends that. Does not own
 * the keys (deviceKeys.ts) nor recovery: a lost LDevID is treated as a missing one (enrol.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { KeyHolding } from '../model/keyHolder.ts';
import { Secret } from '../model/secret.ts';
import { isTpmKey } from '../pki/tss2.ts';
import type { Files } from '../system/ports.ts';
import type { DeviceKeys } from './deviceKeys.ts';
import type { FactoryIdentity } from './factory.ts';
import type { Answer, Https } from './https.ts';
import type { CredentialPaths } from './paths.ts';

const MAX_FILE_BYTES = 64 * 1024;

/** What servers say to a client that showed no certificate: OpenSSL shows none when its TPM does not answer. */
const SEEN_NONE = /alert (certificate required|handshake failure|bad certificate)/;

/** An exchange that fails for a key of the TPM's says why: the TPM is asked only then. */
export function tellingKeyLoss(
  https: Https,
  keys: Pick<DeviceKeys, 'open' | 'prove' | 'doubt'>,
  factory: Pick<FactoryIdentity, 'tls'>,
): Https {
  async function proveAgain(key: Secret): Promise<void> {
    if (!isTpmKey(key)) return;
    keys.doubt();
    try {
      await keys.prove(keys.open(key));
    } catch (thrown) {
      const isFactoryKey = key.reveal() === factory.tls.key.reveal();
      const isLost = asBranchboxError(thrown).code === 'bootstrap/key-lost';
      throw isLost && isFactoryKey ? factoryKeyLost(thrown) : thrown;
    }
  }
  return async (exchange, signal) => {
    let answer: Answer;
    try {
      answer = await https(exchange, signal);
    } catch (thrown) {
      const { code, message } = asBranchboxError(thrown);
      if (code === 'system/key-unusable' || SEEN_NONE.test(message)) await proveAgain(exchange.identity.key);
      throw thrown;
    }
    if (answer.status === 401) await proveAgain(exchange.identity.key);
    return answer;
  };
}

/** Nothing on the box can stand in for it: the manufacturer certified that key alone. */
const factoryKeyLost = (cause: unknown): BranchboxError =>
  new BranchboxError('bootstrap/key-lost', {
    message: `This box cannot prove who it is: its factory key is lost. ${asBranchboxError(cause).message}`,
    mend: 'put its TPM back, or switch it on; where that was cleared, the factory must make a new identity, and meanwhile branchbox fleet replace gives its place to another box',
    cause,
  });

export function createKeyHoldings(parts: {
  readonly files: Pick<Files, 'readText'>;
  readonly keys: Pick<DeviceKeys, 'readiness'>;
  readonly factory: Pick<FactoryIdentity, 'key'>;
  readonly ldevid: CredentialPaths;
}): () => Promise<KeyHolding> {
  return async () => {
    const text = await parts.files.readText(parts.ldevid.key, MAX_FILE_BYTES);
    return {
      ...parts.keys.readiness(),
      idevid: parts.factory.key.holder,
      ...(text !== undefined && { ldevid: isTpmKey(new Secret(text)) ? 'tpm' : 'software' }),
    };
  };
}
