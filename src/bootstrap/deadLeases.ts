/**
 * Owns noticing a lease that leads nowhere, on the way into service: over its uplink nobody is reached again and again; or
 * bootstrap servers answer, and for minutes none gives anything good; or for long they only say to come again. Another DHCP
 * server on the same wire may know the way, so the one that gave the lease is named to firmware/other-dhcp, and to the installer.
 * Does not own reaching anybody (connect.ts), which answer is good (provisional.ts), nor leaving that server.
 */
import { BranchboxError } from '../model/errors.ts';
import { LEADS_NOWHERE_DIRECTORY, readLeaseServers } from '../system/leases.ts';
import type { Files, Logger } from '../system/ports.ts';
import type { Connect } from './https.ts';
import type { Uplink } from './uplink.ts';

/**
 * How long is enough. `nobody`: a server or a line may come up a little late. `nothing good`: it may be the right server, which
 * somebody is mending. `come again`: it may wait for a person, or have a thousand boxes to serve first. Where no other DHCP server
 * answers, the same one is taken again, and not left again before `notAgainMs`: its line may merely be dark.
 */
const ENOUGH = {
  nobody: { failures: 4, afterMs: 20_000, notAgainMs: 600_000 },
  'nothing good': { failures: 4, afterMs: 120_000, notAgainMs: 600_000 },
  'come again': { failures: 2, afterMs: 900_000, notAgainMs: 3_600_000 },
} as const;
type Reason = keyof typeof ENOUGH;
/** Servers left at a time: whoever answers on a wire can make up as many as he likes. */
const MAX_LEFT = 16;

/** What the installer is told of that server, and the mend. */
const TOLD: Readonly<Record<Reason, { readonly gave: string; readonly mend: string }>> = (() => {
  const nowhere = {
    gave: 'leads nowhere',
    mend: 'take the wrong DHCP server off that line, or look at its way out where it is the right one',
  };
  return {
    nobody: nowhere,
    'nothing good': nowhere,
    'come again': {
      gave: `leads to servers that say nothing but to come again, for ${ENOUGH['come again'].afterMs / 60_000} minutes by now`,
      mend: 'take the wrong DHCP server off that line, or have the box approved where it is the right one',
    },
  };
})();

/** Since when it has been so; begins anew with another address of the interface. */
interface Count {
  readonly address: string;
  readonly sinceMs: number;
  readonly failures: number;
}

export interface DeadLeases {
  /** Wraps `connect`: where that reaches nobody, its failure also says that the lease is given up, once it is. */
  telling(connect: Connect): Connect;
  /** After a round in which none of the servers over that uplink gave anything good. Resolves to the failure, as above. */
  gaveNothing(uplink: Uplink, failure: BranchboxError): Promise<BranchboxError>;
  /** After a round in which nobody gave anything good and somebody who proved nothing said to come again; likewise. */
  saidComeAgain(uplink: Uplink, failure: BranchboxError): Promise<BranchboxError>;
  /** Time left until that is enough; undefined where nobody said so. A round is due then, even one that asks nobody. */
  enoughInMs(uplink: Uplink): number | undefined;
  /** Somebody gave something good over it: it leads somewhere. */
  leadsSomewhere(uplink: Uplink): void;
}

export function createDeadLeases(options: {
  readonly files: Pick<Files, 'list' | 'readText' | 'writeDurable'>;
  /** A box in service keeps what it has: its tunnels may stand where no server of the owner is reached. */
  readonly isUnderWay: () => boolean;
  readonly monotonicMs: () => number;
  readonly log: Logger;
  readonly leaseDirectory?: string | undefined;
  readonly directory?: string | undefined;
}): DeadLeases {
  const { files, monotonicMs, log } = options;
  const counts: Record<Reason, Map<string, Count>> = {
    nobody: new Map(),
    'nothing good': new Map(),
    'come again': new Map(),
  };
  /** By interface and server, whatever address it gave: until when it is not named again. */
  const left = new Map<string, number>();

  function isEnough(reason: Reason, { ifname, address }: Uplink): boolean {
    const nowMs = monotonicMs();
    const before = counts[reason].get(ifname);
    const same = before?.address === address ? before : { address, sinceMs: nowMs, failures: 0 };
    const now: Count = { ...same, failures: same.failures + 1 };
    counts[reason].set(ifname, now);
    const { failures, afterMs } = ENOUGH[reason];
    return now.failures >= failures && nowMs - now.sinceMs >= afterMs;
  }

  /** Names that server to whoever leaves it; false where it is not named. */
  async function name(ifname: string, server: string, reason: Reason): Promise<boolean> {
    const nowMs = monotonicMs();
    for (const [key, untilMs] of left) if (nowMs >= untilMs) left.delete(key);
    // Apart: a server that was left for "come again" may go dark later, which is judged by its own times.
    const key = `${ifname} ${server}${reason === 'come again' ? ` ${reason}` : ''}`;
    if (left.has(key)) return true;
    if (left.size >= MAX_LEFT) return false;
    left.set(key, nowMs + ENOUGH[reason].notAgainMs);
    try {
      await files.writeDurable(`${options.directory ?? LEADS_NOWHERE_DIRECTORY}/${ifname}`, `${server}\n`);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.warn('a lease that leads nowhere cannot be told', { ifname, server, error: thrown });
      return false;
    }
    log.warn('a lease leads nowhere, another DHCP server is asked', { ifname, server, reason });
    return true;
  }

  async function told(reason: Reason, uplink: Uplink, failure: BranchboxError): Promise<BranchboxError> {
    const { ifname, address } = uplink;
    // IPv6 has no server to leave: routers speak for themselves.
    if (!options.isUnderWay() || address.includes(':') || !isEnough(reason, uplink)) return failure;
    // None where the address is static, of a modem or of PPPoE.
    const server = (await readLeaseServers(files, options.leaseDirectory)).get(ifname);
    if (server === undefined || !(await name(ifname, server, reason))) return failure;
    const { gave, mend } = TOLD[reason];
    const what = `what the DHCP server ${server} on ${ifname} gave ${gave}, so another one is asked for an address`;
    if (failure.message.includes(what)) return failure;
    return new BranchboxError(failure.code, {
      message: `${failure.message}; ${what}`,
      problems: failure.problems,
      fields: failure.fields,
      mend: failure.mend === undefined ? mend : `${failure.mend}; or ${mend}`,
      cause: failure,
    });
  }

  return {
    telling: (connect) => async (exchange) => {
      const { uplink } = exchange;
      try {
        const socket = await connect(exchange);
        counts.nobody.delete(uplink.ifname);
        return socket;
      } catch (thrown) {
        const isNobody = thrown instanceof BranchboxError && thrown.code === 'bootstrap/unreachable';
        if (!isNobody) throw thrown;
        throw await told('nobody', uplink, thrown);
      }
    },
    gaveNothing: (uplink, failure) => told('nothing good', uplink, failure),
    saidComeAgain(uplink, failure) {
      counts['nothing good'].delete(uplink.ifname);
      return told('come again', uplink, failure);
    },
    enoughInMs({ ifname, address }) {
      const count = counts['come again'].get(ifname);
      if (count?.address !== address) return undefined;
      const inMs = count.sinceMs + ENOUGH['come again'].afterMs - monotonicMs();
      return inMs > 0 ? inMs : undefined;
    },
    leadsSomewhere(uplink) {
      counts['nothing good'].delete(uplink.ifname);
      counts['come again'].delete(uplink.ifname);
    },
  };
}
