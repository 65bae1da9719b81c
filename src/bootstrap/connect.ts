/**
 * Owns tying bootstrap's connections to one uplink: its address, its DNS servers.
 * Does not own the dialling (system/uplinkDial) nor judging the peer (peer.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { UplinkDialer } from '../system/uplinkDial.ts';
import type { Connect } from './https.ts';

/** Look-up, TCP and TLS over a slow LTE attachment; https.ts caps the whole exchange. */
const CONNECT_TIMEOUT_MS = 10_000;

export function connectByUplink(dialer: Pick<UplinkDialer, 'connectTls'>): Connect {
  return async ({ server, uplink, identity, anchorsPem, signal }) => {
    try {
      const { socket } = await dialer.connectTls({
        host: server.host,
        port: server.port,
        uplinks: [uplink],
        tls: {
          key: identity.key.reveal(),
          cert: identity.certificatePem,
          // The library's verdict is read by the judge, which also has a clock that can be believed (peer.ts).
          rejectUnauthorized: false,
          ...(anchorsPem !== undefined && { ca: anchorsPem, allowPartialTrustChain: true }),
          ALPNProtocols: ['http/1.1'],
        },
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
      });
      return socket;
    } catch (thrown) {
      // Of the one uplink that was asked for: its own words, not those for all uplinks.
      const { message, problems } = asBranchboxError(thrown);
      const why = problems[0]?.message ?? message;
      throw new BranchboxError('bootstrap/unreachable', { message: why, cause: thrown });
    }
  };
}
