/**
 * Owns the sessions under which boxes may send probes: granted over mutual TLS, one a gateway, short-lived, counted.
 * Answers are made here and sent elsewhere (responder.ts). Whatever does not carry the tag of a living session's key,
 * repeats a number or exceeds the session's count gets no answer, so the responder is of no use to who would have it
 * flood another: it answers nobody it did not grant a key to, never with more than came, and each probe once.
 */
import { createHmac, randomBytes as nodeRandomBytes } from 'node:crypto';
import {
  addressBytes,
  claimedSession,
  encodeAnswer,
  parseAsk,
  PROBE_HEADER_BYTES,
  PROBE_LIMITS,
  type ProbeSession,
  type Tag,
} from '../../model/uplinkProbe.ts';

/** A fleet that tests at once; each holds 2 KiB. */
const MAX_SESSIONS = 2_000;

export interface ProbeSessions {
  /** A new one takes the place of the gateway's last; undefined where too many are open. */
  grant(gatewayId: string): ProbeSession | undefined;
  /** The answer to a datagram; undefined: none. */
  answer(
    datagram: Uint8Array,
    from: { readonly address: string; readonly port: number },
  ): Uint8Array | undefined;
}

interface Session {
  readonly gatewayId: string;
  readonly tag: Tag;
  readonly endsAtMs: number;
  /** A bit a number that was answered. */
  readonly answered: Uint8Array;
  leftBytes: number;
}

export function createProbeSessions(options: {
  /** Both of the responder. */
  readonly ports: readonly [number, number];
  readonly monotonicMs: () => number;
  readonly randomBytes?: (count: number) => Buffer;
}): ProbeSessions {
  const { ports, monotonicMs, randomBytes = nodeRandomBytes } = options;
  const sessions = new Map<string, Session>();
  const ofGateway = new Map<string, string>();

  const forget = (id: string): void => {
    const session = sessions.get(id);
    if (session !== undefined && ofGateway.get(session.gatewayId) === id) ofGateway.delete(session.gatewayId);
    sessions.delete(id);
  };
  const forgetEnded = (): void => {
    for (const [id, { endsAtMs }] of sessions) if (endsAtMs <= monotonicMs()) forget(id);
  };

  return {
    grant(gatewayId) {
      const last = ofGateway.get(gatewayId);
      if (last !== undefined) forget(last);
      if (sessions.size >= MAX_SESSIONS) forgetEnded();
      if (sessions.size >= MAX_SESSIONS) return undefined;
      const id = randomBytes(8).toString('hex');
      const key = randomBytes(32);
      sessions.set(id, {
        gatewayId,
        tag: (signed) => createHmac('sha256', key).update(signed).digest(),
        endsAtMs: monotonicMs() + PROBE_LIMITS.lifeMs,
        answered: new Uint8Array(Math.ceil((PROBE_LIMITS.packets + 1) / 8)),
        leftBytes: PROBE_LIMITS.bytes,
      });
      ofGateway.set(gatewayId, id);
      return { session: id, key: key.toString('base64'), ports: [...ports] };
    },
    answer(datagram, from) {
      const id = claimedSession(datagram, 'ask');
      const session = id === undefined ? undefined : sessions.get(id);
      if (id === undefined || session === undefined) return undefined;
      if (session.endsAtMs <= monotonicMs()) {
        forget(id);
        return undefined;
      }
      const ask = parseAsk(datagram, session.tag);
      const address = addressBytes(from.address);
      if (ask === undefined || address === undefined) return undefined;
      const { number } = ask;
      if (number > PROBE_LIMITS.packets) return undefined;
      const bit = 1 << (number % 8);
      const at = Math.floor(number / 8);
      if (((session.answered[at] ?? 0xff) & bit) !== 0) return undefined;
      const sizeBytes = Math.min(datagram.length, Math.max(PROBE_HEADER_BYTES, ask.answerBytes));
      if (session.leftBytes < sizeBytes) return undefined;
      session.answered[at] = (session.answered[at] ?? 0) | bit;
      session.leftBytes -= sizeBytes;
      const answer = { session: ask.session, number, cameBytes: datagram.length, address, port: from.port };
      return encodeAnswer(answer, sizeBytes, session.tag);
    },
  };
}
