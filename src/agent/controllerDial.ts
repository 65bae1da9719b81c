/**
 * Owns making one connection to the controller: TLS over the first uplink that gets through, and MQTT on it.
 * Does not own which uplinks, nor when one is made or given up (controllerLink).
 */
import type { TLSSocket } from 'node:tls';
import { deviceTls } from '../system/deviceClient.ts';
import type { UplinkAddress, UplinkConnection, UplinkDialer } from '../system/uplinkDial.ts';
import { type MqttSession, openMqttSession } from './mqttSession.ts';
import type { StoredIdentity } from './ownIdentity.ts';

/** Of one uplink, name, TCP and TLS together. */
const DIAL_TIMEOUT_MS = 3000;

export interface Way {
  readonly dialer: Pick<UplinkDialer, 'connectTls'>;
  /** Best first. */
  readonly uplinks: readonly UplinkAddress[];
  readonly endpoint: { readonly host: string; readonly port: number };
  readonly identity: Pick<
    StoredIdentity,
    'gatewayId' | 'key' | 'certificatePem' | 'anchorPem' | 'context' | 'judge'
  >;
}

/** Up to TLS, which ends no session of this box; an MQTT CONNECT with the same client id would. */
export function connectController(way: Way, signal: AbortSignal): Promise<UplinkConnection> {
  return way.dialer.connectTls({
    ...way.endpoint,
    uplinks: way.uplinks,
    timeoutMs: DIAL_TIMEOUT_MS,
    signal,
    tls: deviceTls(way.identity),
    judge: way.identity.judge,
  });
}

export async function dialController(
  parts: Way & {
    /** A way that has been made already. */
    readonly made?: UplinkConnection | undefined;
    readonly onMessage: (topic: string, payload: Uint8Array) => void;
  },
  signal: AbortSignal,
): Promise<{ readonly session: MqttSession; readonly uplink: UplinkAddress; readonly socket: TLSSocket }> {
  const { identity, onMessage } = parts;
  const { socket, uplink } = parts.made ?? (await connectController(parts, signal));
  const giveUp = (): void => void socket.destroy(new Error('given up'));
  signal.addEventListener('abort', giveUp, { once: true });
  try {
    const session = await openMqttSession({ socket, gatewayId: identity.gatewayId, onMessage });
    return { session, uplink, socket };
  } catch (thrown) {
    socket.destroy();
    throw thrown;
  } finally {
    signal.removeEventListener('abort', giveUp);
  }
}
