/**
 * Owns what both ends of one TLS connection know and no other connection has: its channel binding (RFC 5929, RFC 9266).
 * Does not own what it is put into.
 */
import type { TLSSocket } from 'node:tls';

const EXPORTER_LABEL = 'EXPORTER-Channel-Binding';
const EXPORTER_BYTES = 32;

type Handshake = Pick<
  TLSSocket,
  'getProtocol' | 'getFinished' | 'getPeerFinished' | 'isSessionReused' | 'exportKeyingMaterial'
>;

/** tls-exporter under TLS 1.3, tls-unique before; undefined where there is none (any more). */
export function channelBinding(socket: Handshake, end: 'client' | 'server'): Uint8Array | undefined {
  const protocol = socket.getProtocol();
  if (protocol === null) return undefined;
  if (protocol === 'TLSv1.3') {
    return socket.exportKeyingMaterial(EXPORTER_BYTES, EXPORTER_LABEL, Buffer.alloc(0));
  }
  // The first Finished of a handshake: the client's, but of a resumed session the server's (RFC 5246 7.3).
  const isOwn = (end === 'client') !== socket.isSessionReused();
  return isOwn ? socket.getFinished() : socket.getPeerFinished();
}
