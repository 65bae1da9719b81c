/**
 * Owns sending UDP probes by one uplink and matching the answers: one socket on the uplink's address, so that the rule
 * `from <address>` sends it out there. The kernel sets DF on each (its own path MTU discovery, ip(7)
 * IP_MTU_DISCOVER; of IPv6 no router fragments): it fragments only above what ICMP taught it, which whoever asks looks at
 * first.
 * Does not own what is measured by them (measure.ts) nor answering (controller/uplinkTest).
 */
import { createHmac } from 'node:crypto';
import { createSocket } from 'node:dgram';
import {
  addressText,
  bytesOfHex,
  claimedSession,
  encodeAsk,
  parseAnswer,
  PROBE_HEADER_BYTES,
  PROBE_LIMITS,
  probeOverhead,
  type ProbeSession,
  type Tag,
} from '../../model/uplinkProbe.ts';
import { canonicalAddress } from '../../model/prefixes.ts';
import { type Family, familyOf } from '../../model/underlay.ts';

export interface ProbeAnswered {
  readonly roundTripMs: number;
  /** As the far end saw us. */
  readonly mappedAddress: string;
  readonly mappedPort: number;
}

export interface Prober {
  /**
   * One probe as an IP packet of `packetBytes`, and an answer of `answerBytes` (never more than the probe). Resolves
   * with undefined where nothing came in time.
   */
  ask(probe: {
    readonly packetBytes: number;
    readonly answerBytes?: number;
    readonly port?: 0 | 1;
    readonly timeoutMs: number;
  }): Promise<ProbeAnswered | undefined>;
  /** Of IP packets, both ways. */
  usedBytes(): number;
  close(): void;
}

/** A probe of nothing but its header, as an IP packet. */
export const leastProbePacket = (family: Family): number => PROBE_HEADER_BYTES + probeOverhead(family);

export async function openProber(options: {
  /** Ours, without prefix length. */
  readonly address: string;
  readonly to: string;
  readonly session: ProbeSession;
  readonly nowMs: () => number;
}): Promise<Prober> {
  const { session, nowMs } = options;
  // As the kernel writes whom an answer came from.
  const to = canonicalAddress(options.to);
  const family = familyOf(to);
  const overhead = probeOverhead(family);
  const key = Buffer.from(session.key, 'base64');
  const tag: Tag = (signed) => createHmac('sha256', key).update(signed).digest();
  const sessionBytes = bytesOfHex(session.session);
  const waiting = new Map<
    number,
    { readonly sentAtMs: number; readonly end: (answer?: ProbeAnswered) => void }
  >();
  let number = 0;
  let usedBytes = 0;

  const socket = createSocket(family === 6 ? 'udp6' : 'udp4');
  await new Promise<void>((resolve, reject) => {
    socket.once('error', reject);
    socket.bind({ address: options.address }, () => {
      socket.off('error', reject);
      resolve();
    });
  });
  // ICMP's verdicts arrive here too: what does not come back is lost, whatever the reason.
  socket.on('error', () => {});
  socket.on('message', (datagram, from) => {
    const cameAtMs = nowMs();
    if (from.address !== to || claimedSession(datagram, 'answer') !== session.session) return;
    const answer = parseAnswer(datagram, tag);
    const asked = answer === undefined ? undefined : waiting.get(answer.number);
    if (answer === undefined || asked === undefined) return;
    usedBytes += datagram.length + overhead;
    asked.end({
      roundTripMs: cameAtMs - asked.sentAtMs,
      mappedAddress: addressText(answer.address),
      mappedPort: answer.port,
    });
  });

  return {
    ask({ packetBytes, answerBytes = leastProbePacket(family), port = 0, timeoutMs }) {
      number += 1;
      // The far end would not answer any more.
      if (number > PROBE_LIMITS.packets) return Promise.resolve(undefined);
      const own = number;
      const datagram = encodeAsk(
        { session: sessionBytes, number: own, answerBytes: Math.max(0, answerBytes - overhead) },
        packetBytes - overhead,
        tag,
      );
      return new Promise((resolve) => {
        const end = (answer?: ProbeAnswered): void => {
          clearTimeout(timer);
          waiting.delete(own);
          resolve(answer);
        };
        const timer = setTimeout(end, timeoutMs);
        waiting.set(own, { sentAtMs: nowMs(), end });
        usedBytes += datagram.length + overhead;
        socket.send(datagram, session.ports[port] ?? 0, to, (error) => {
          // Larger than the interface takes, or no route: known at once.
          if (error !== null) end();
        });
      });
    },
    usedBytes: () => usedBytes,
    close() {
      for (const { end } of waiting.values()) end();
      socket.close();
    },
  };
}
