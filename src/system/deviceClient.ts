/**
 * Owns asking the controller's device API for bytes: over the best uplink, with the box's own certificate, from any
 * byte on. Does not own what is fetched (containers/bundles, update/controllerSource) nor whether it is what was named.
 */
import { type IncomingMessage, request as httpRequest } from 'node:http';
import type { ConnectionOptions, SecureContext } from 'node:tls';
import { bracketed } from '../model/addresses.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Secret } from '../model/secret.ts';
import type { UplinkDialer } from './uplinkDial.ts';
import type { PeerJudgement } from './uplinkTls.ts';

/** Read anew for each request: a certificate may have been renewed. */
export interface DeviceCredentials {
  readonly key: Secret;
  readonly certificatePem: string;
  readonly anchorPem: string;
  /**
   * Where a TPM holds the key: one context for every connection of the process (tpmUse.ts). Throws system/key-unusable.
   */
  readonly context?: (() => SecureContext) | undefined;
  /** Where the library alone cannot judge (pki/tlsPeer): the clock is known to be wrong, or the owner revoked something. */
  readonly judge?: PeerJudgement | undefined;
}

/** Who this box is and whom it believes, as options of a TLS connection. */
export function deviceTls({
  key,
  certificatePem,
  anchorPem,
  context,
}: DeviceCredentials): Pick<
  ConnectionOptions,
  'key' | 'cert' | 'ca' | 'allowPartialTrustChain' | 'secureContext'
> {
  if (context !== undefined) return { secureContext: context() };
  // The domain's anchor alone, which may stand below another CA.
  return { key: key.reveal(), cert: certificatePem, ca: anchorPem, allowPartialTrustChain: true };
}

export interface DeviceClientOptions {
  readonly server: () => { readonly host: string; readonly port: number };
  readonly credentials: () => Promise<DeviceCredentials>;
  readonly dialer: Pick<UplinkDialer, 'connectTls'>;
  /** Without a byte from the server; default IDLE_TIMEOUT_MS. */
  readonly idleTimeoutMs?: number;
}

export interface DeviceClient {
  /**
   * The answer, whatever its status; the caller reads or destroys it. `fromBytes` above 0 asks for the rest alone,
   * `endBytes` for what is before that byte, which a server may ignore (status 200, RFC 9110 14.2). Throws
   * `controller/unreachable`.
   */
  get(
    path: string,
    options: {
      readonly fromBytes?: number;
      readonly endBytes?: number | undefined;
      readonly signal: AbortSignal;
    },
  ): Promise<IncomingMessage>;
}

/** Without a byte. A slow LTE link is slow, not silent. */
const IDLE_TIMEOUT_MS = 30_000;

export function createDeviceClient(options: DeviceClientOptions): DeviceClient {
  const { idleTimeoutMs = IDLE_TIMEOUT_MS } = options;
  return {
    async get(path, { fromBytes = 0, endBytes, signal }) {
      const { host, port } = options.server();
      const credentials = await options.credentials();
      const { socket } = await options.dialer.connectTls({
        host,
        port,
        tls: { ...deviceTls(credentials), minVersion: 'TLSv1.3' },
        judge: credentials.judge,
        signal,
      });
      return new Promise((resolve, reject) => {
        let answer: IncomingMessage | undefined;
        const request = httpRequest(
          {
            createConnection: () => socket,
            path,
            headers: {
              host: `${bracketed(host)}:${port}`,
              connection: 'close',
              // What is named by digest and ranges is the bytes themselves.
              'accept-encoding': 'identity',
              ...(fromBytes > 0 || endBytes !== undefined
                ? { range: `bytes=${fromBytes}-${endBytes === undefined ? '' : endBytes - 1}` }
                : {}),
            },
            signal,
          },
          (message) => {
            answer = message;
            resolve(message);
          },
        );
        request.setTimeout(idleTimeoutMs);
        request.on('timeout', () => {
          // Bytes wait to be read: the silence is the reader's, whose rate may be limited.
          if (answer !== undefined && answer.readableLength > 0) socket.setTimeout(idleTimeoutMs);
          else request.destroy(new Error(`no byte for ${idleTimeoutMs / 1000} s`));
        });
        request.on('error', (cause) => reject(deviceUnreachable(path, cause)));
        request.end();
      });
    },
  };
}

export function deviceUnreachable(what: string, cause: unknown): BranchboxError {
  const why = cause instanceof Error ? cause.message : String(cause);
  return new BranchboxError('controller/unreachable', {
    message: `${what} cannot be fetched: ${why}`,
    cause,
  });
}
