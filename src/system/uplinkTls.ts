/**
 * Owns one TLS connection to one address over one uplink: the socket is bound to the uplink's address, so that the rule
 * `from <address>` sends it out there and nowhere else; then the proxy where there is one, handshake, and who answered.
 * Does not own which address or uplink is tried, nor when another one is (uplinkDial.ts).
 */
import { connect as connectTcp, isIP, type Socket } from 'node:net';
import { connect as startTls, type ConnectionOptions, type TLSSocket } from 'node:tls';
import type { HttpProxy } from '../model/medium.ts';
import type { Obstacle } from '../model/obstacle.ts';
import { openTunnel } from './httpProxy.ts';
import { obstacleOfTls } from './tlsReason.ts';
import { unreachable } from './uplinkFailure.ts';
import type { ResolvingUplink } from './uplinkResolver.ts';

export interface TlsTarget {
  readonly host: string;
  readonly port: number;
  /** Trust and credentials. The server's name is checked against `host` unless these say otherwise. */
  readonly tls: Omit<ConnectionOptions, 'host' | 'port' | 'socket' | 'path' | 'localAddress' | 'lookup'>;
  /**
   * Whether the other end is who it must be; rejects where not. Given, it decides alone, and the library's verdict is for it
   * to read (pki/tlsPeer). Nothing is sent before.
   */
  readonly judge?: PeerJudgement | undefined;
}

/** `host`: what its certificate must name. */
export type PeerJudgement = (socket: TLSSocket, host: string) => Promise<void>;

/** Until the signal aborts. Every way out but success destroys the socket. */
export function connectTlsTo(
  address: string,
  uplink: ResolvingUplink,
  dial: TlsTarget,
  proxy: HttpProxy | undefined,
  signal: AbortSignal,
): Promise<TLSSocket> {
  return new Promise((resolve, reject) => {
    const socket: Socket = connectTcp({
      host: address,
      port: proxy?.port ?? dial.port,
      localAddress: uplink.address,
    });
    socket.setNoDelay(true);
    let secure: TLSSocket | undefined;
    const where =
      proxy === undefined
        ? `${dial.host} (${address}:${dial.port}) over ${uplink.ifname}`
        : `${dial.host}:${dial.port} through the proxy ${proxy.host}:${proxy.port} over ${uplink.ifname}`;
    const fail = (what: string, cause: unknown, obstacle?: Obstacle): void => {
      signal.removeEventListener('abort', onAbort);
      secure?.destroy();
      socket.destroy();
      reject(unreachable(`${where} ${what}`, cause, obstacle));
    };
    const onAbort = (): void => fail('did not answer in time', signal.reason);
    if (signal.aborted) {
      onAbort();
      return;
    }
    signal.addEventListener('abort', onAbort, { once: true });
    socket.once('error', (cause) => fail('cannot be reached', cause));
    const startSecure = (): void => {
      try {
        secure = startTls({
          minVersion: 'TLSv1.2',
          ...(isIP(dial.host) === 0 ? { servername: dial.host } : {}),
          // What Node compares the certificate with where there is no server name.
          host: dial.host,
          ...dial.tls,
          ...(dial.judge !== undefined && { rejectUnauthorized: false }),
          socket,
        });
      } catch (cause) {
        // A key or certificate that is none.
        fail('was not asked: this box cannot show who it is', cause, 'own-key');
        return;
      }
      // Stays until success is known: an alert in the handshake comes as an error of this socket.
      secure.once('error', (cause) => fail('refused the handshake', cause, obstacleOfTls(cause)));
      const onClose = (): void => fail('hung up', undefined);
      const takeOver = (secured: TLSSocket): void => {
        // Given up while it was judged.
        if (secured.destroyed) return;
        signal.removeEventListener('abort', onAbort);
        secured.removeListener('close', onClose);
        secured.removeAllListeners('error');
        // Until the new owner listens, an error must not end the process; `close` reports it anyway.
        secured.on('error', () => {});
        resolve(secured);
      };
      secure.once('secureConnect', () => {
        if (secure === undefined) return;
        const secured = secure;
        if (dial.judge === undefined) takeOver(secured);
        else {
          secured.once('close', onClose);
          dial.judge(secured, dial.host).then(
            () => takeOver(secured),
            (why: unknown) => fail('is not who it must be', why, obstacleOfTls(why)),
          );
        }
      });
    };
    socket.once('connect', () => {
      if (proxy === undefined) startSecure();
      else
        openTunnel(socket, dial, proxy).then(startSecure, (why: unknown) => fail('was not let through', why));
    });
  });
}
