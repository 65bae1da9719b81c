/**
 * Owns tying bootstrap's connections to one uplink: its address, its DNS servers.
 * Does not own the dialling (system/uplinkDial) nor judging the peer (peer.ts).
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import { isTpmKey } from '../pki/tss2.ts';
import type { TpmUse } from '../system/tpmUse.ts';
import type { UplinkDialer } from '../system/uplinkDial.ts';
import type { Connect } from './https.ts';

/** Look-up, TCP and TLS over a slow LTE attachment; https.ts caps the whole exchange. */
const CONNECT_TIMEOUT_MS = 10_000;

export function connectByUplink(
  dialer: Pick<UplinkDialer, 'connectTls'>,
  tpm: Pick<TpmUse, 'context'>,
): Connect {
  return async ({ server, uplink, identity, anchorsPem, signal }) => {
    const who = {
      key: identity.key.reveal(),
      cert: identity.certificatePem,
      ...(anchorsPem !== undefined && { ca: anchorsPem, allowPartialTrustChain: true }),
    };
    // Outside the try: a key that cannot be used is no failure of this uplink.
    const shown = isTpmKey(identity.key)
      ? { secureContext: tpm.context({ ...who, minVersion: 'TLSv1.2' }) }
      : who;
    try {
      const { socket } = await dialer.connectTls({
        host: server.host,
        port: server.port,
        uplinks: [uplink],
        tls: {
          ...shown,
          // The library's verdict is read by the judge, which also has a clock that can be believed (peer.ts).
          rejectUnauthorized: false,
          ALPNProtocols: ['http/1.1'],
        },
        timeoutMs: CONNECT_TIMEOUT_MS,
        signal,
      });
      return socket;
    } catch (thrown) {
      // The reason of the one uplink that was asked for, not the summary over all uplinks.
      const { message, problems } = asBranchboxError(thrown);
      const why = problems[0]?.message ?? message;
      throw new BranchboxError('bootstrap/unreachable', { message: why, cause: thrown });
    }
  };
}
