/**
 * Owns noticing a lease that leads nowhere, on the way into service: nobody at all was reached over its uplink, again and
 * again, while a second DHCP server on the same wire may know the way. Names its server for firmware/other-dhcp, and says
 * so to the installer. Does not own reaching anybody (connect.ts), nor leaving that server.
 */
import { BranchboxError } from '../model/errors.ts';
import { LEADS_NOWHERE_DIRECTORY, readLeaseServers } from '../system/leases.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { Connect } from './https.ts';
import type { Uplink } from './uplink.ts';

/** A server or a line that comes up a little later is none. */
const FAILURES = 4;
const AFTER_MS = 20_000;
/** Where nobody else answered, that server is taken again, and not left again before: its line may merely be dark. */
const NOT_AGAIN_MS = 600_000;

/** Of one interface, as long as its address is the same. */
interface Tried {
  readonly address: string;
  readonly sinceMs: number;
  readonly failures: number;
  readonly left?: { readonly server: string; readonly atMs: number };
}

export function tellingDeadLeases(
  connect: Connect,
  options: {
    readonly files: Pick<Files, 'list' | 'readText' | 'writeDurable'>;
    /** A box in service keeps what it has: its tunnels may stand where no server of the owner is reached. */
    readonly isUnderWay: () => boolean;
    readonly monotonicMs: () => number;
    readonly log: Logger;
    readonly leaseDirectory?: string | undefined;
    readonly directory?: string | undefined;
  },
): Connect {
  const { files, monotonicMs, log } = options;
  const tried = new Map<string, Tried>();

  /** The server that is left for it. */
  async function failed({ ifname, address }: Uplink): Promise<string | undefined> {
    const nowMs = monotonicMs();
    const before = tried.get(ifname);
    const same = before?.address === address ? before : { address, sinceMs: nowMs, failures: 0 };
    const now: Tried = { ...same, failures: same.failures + 1 };
    tried.set(ifname, now);
    if (now.left !== undefined && nowMs - now.left.atMs < NOT_AGAIN_MS) return now.left.server;
    if (now.failures < FAILURES || nowMs - now.sinceMs < AFTER_MS) return undefined;
    // None where the address is static, of a modem or of PPPoE.
    const server = (await readLeaseServers(files, options.leaseDirectory)).get(ifname);
    if (server === undefined) return undefined;
    tried.set(ifname, { ...now, left: { server, atMs: nowMs } });
    try {
      await files.writeDurable(`${options.directory ?? LEADS_NOWHERE_DIRECTORY}/${ifname}`, `${server}\n`);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.warn('a lease that leads nowhere cannot be told', { ifname, server, error: thrown });
      return undefined;
    }
    log.warn('a lease leads nowhere, another DHCP server is asked', { ifname, server });
    return server;
  }

  return async (exchange) => {
    const { uplink } = exchange;
    try {
      const socket = await connect(exchange);
      tried.delete(uplink.ifname);
      return socket;
    } catch (thrown) {
      const isNobody = thrown instanceof BranchboxError && thrown.code === 'bootstrap/unreachable';
      // IPv6 has no server to leave: routers speak for themselves.
      if (!isNobody || !options.isUnderWay() || uplink.address.includes(':')) throw thrown;
      const server = await failed(uplink);
      if (server === undefined) throw thrown;
      throw new BranchboxError('bootstrap/unreachable', {
        message: `${thrown.message}; what the DHCP server ${server} on ${uplink.ifname} gave leads nowhere, so another one is asked for an address`,
        mend: 'take the wrong DHCP server off that line, or look at its way out where it is the right one',
        cause: thrown,
      });
    }
  };
}
