/**
 * Owns ending the living session of one gateway. mosquitto judges a certificate when it is shown and has no word to
 * end a session, but a second connection of a client id takes the first one's place (MQTT 5, 3.1.4): this is it.
 * Does not own that the gateway stays out: the revocation list does, and must be in force before.
 */
import mqtt from 'mqtt';
import { BranchboxError } from '../../model/errors.ts';
import { toPem } from '../../pki/certificate.ts';
import { exportPrivateKey, generateKeyPair } from '../../pki/keys.ts';
import { createRequest } from '../../pki/request.ts';
import type { SignerClient } from '../signer/client.ts';

const CONNECT_TIMEOUT_MS = 5_000;
/** The shortest that the signer makes: one minute, for a key that is gone in less than a second. */
const LIFE_DAYS = 1 / 1440;

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
  /** As in the broker's certificate. */
  readonly serverName: string;
  readonly domainAnchorPem: string;
}

/** Resolves when no session of that gateway is left; throws where the broker or the signer did not let it happen. */
export async function endSession(
  { signer, broker }: { readonly signer: Pick<SignerClient, 'ldevid'>; readonly broker: BrokerAddress },
  gatewayId: string,
): Promise<void> {
  const { privateKey } = generateKeyPair();
  const csr = createRequest({ key: privateKey });
  // Not in the store: no other server of ours knows it.
  const { certificate } = await signer.ldevid({ csr, gatewayId, validityDays: LIFE_DAYS });
  const client = mqtt.connect({
    protocol: 'mqtts',
    protocolVersion: 5,
    host: broker.host,
    port: broker.port,
    servername: broker.serverName,
    ca: broker.domainAnchorPem,
    key: exportPrivateKey(privateKey).reveal(),
    cert: toPem([certificate]),
    clientId: gatewayId,
    // Nothing of the old session is taken over, and nothing is left of this one.
    clean: true,
    properties: { sessionExpiryInterval: 0 },
    reconnectPeriod: 0,
    connectTimeout: CONNECT_TIMEOUT_MS,
  });
  try {
    await new Promise<void>((resolve, reject) => {
      client.once('connect', () => resolve());
      // Every time, not once: an error that nobody hears would end the process.
      client.on('error', reject);
      client.once('close', () => reject(new Error('the broker closed the connection')));
    });
  } catch (cause) {
    client.end(true);
    throw new BranchboxError('controller/unreachable', {
      message: `the session of ${gatewayId} cannot be ended: ${cause instanceof Error ? cause.message : String(cause)}`,
      cause,
    });
  }
  // At once: a broker that does not close the connection would be waited for without end.
  await client.endAsync(true);
}
