/**
 * Owns the rules of the time that a box's tunnels have used: a peer keeps the greatest timestamp by which a WireGuard key
 * called it, and refuses any that is not greater (WireGuard whitepaper 5.1, TAI64N). What is kept of that over restarts,
 * when the clock is behind it, and when a new key is the way out. Pure.
 * Does not own the file, nor what the time is (agent/tunnelClock.ts).
 */
import { z } from 'zod';
import type { DesiredSpec } from '../model/desired.ts';

/** What is kept lies ahead of the last handshake, so that handshakes of this long cost one write to the disk. */
const AHEAD_MS = 900_000;
/** It is written again while so much is left: handshakes come each 2 minutes, and are looked at each minute. */
const LEAST_AHEAD_MS = 300_000;
/** An interface passes nothing by a handshake that is older (REJECT_AFTER_TIME), and it is looked at each minute. */
const LIVES_MS = 240_000;
/** How long tunnels that stood when the clock went back may take until a peer has called: REJECT_AFTER_TIME and two looks. */
const STANDING_MS = 300_000;
/** Between two new keys: whoever turns the clock may cost the box one a day. */
const RENEW_EVERY_MS = 86_400_000;

/** used-time.json */
export const UsedTime = z.strictObject({
  schema: z.literal(1),
  /** It says nothing of any other key. */
  publicKey: z.string().max(64),
  /** No handshake of this key was later; undefined before its first. */
  untilMs: z.int().min(0).optional(),
  /** When the key before was given up. */
  renewedAtMs: z.int().optional(),
  /** Handshakes that interfaces remember of that one: interface and peer → seconds. */
  before: z.record(z.string(), z.number()).optional(),
});
export type UsedTime = z.output<typeof UsedTime>;

/** By interface and peer: when the last handshake was, in seconds since 1970, by the clock of then. */
export type Handshakes = ReadonlyMap<string, number>;

/** Whether a box calls anybody: who only answers sends no timestamp (whitepaper 5.4.3), and its clock does not matter. */
export const callsPeers = ({ tunnels }: Pick<DesiredSpec, 'tunnels'>): boolean => tunnels.some(callsByTunnel);
export const callsByTunnel = ({ peers }: DesiredSpec['tunnels'][number]): boolean =>
  peers.some(({ endpoint }) => endpoint !== undefined);

/** What is to be kept now, undefined where that is what is kept. */
export function keptAfter(
  kept: UsedTime | undefined,
  publicKey: string,
  handshakes: Handshakes,
): UsedTime | undefined {
  const own = kept?.publicKey === publicKey ? kept : undefined;
  let lastMs = 0;
  for (const [key, atS] of handshakes) if (own?.before?.[key] !== atS) lastMs = Math.max(lastMs, atS * 1000);
  if (lastMs === 0 || lastMs + LEAST_AHEAD_MS <= (own?.untilMs ?? 0)) return undefined;
  return { ...own, schema: 1, publicKey, untilMs: lastMs + AHEAD_MS };
}

/**
 * The time that peers certainly have of this key and the clock is behind; undefined where it is not. Within what was kept
 * ahead of a handshake nobody knows, and the box tries: it would come up, or does when that time is over.
 */
export function behind(kept: UsedTime | undefined, publicKey: string, nowMs: number): number | undefined {
  if (kept?.untilMs === undefined || kept.publicKey !== publicKey) return undefined;
  const usedMs = kept.untilMs - AHEAD_MS;
  return nowMs < usedMs ? usedMs : undefined;
}

/** Whether tunnels pass traffic: peers that have a way to the box call it, whatever its own clock is. */
export const tunnelsLive = (handshakes: Handshakes, nowMs: number): boolean =>
  [...handshakes.values()].some((atS) => atS * 1000 <= nowMs + 1000 && nowMs - atS * 1000 < LIVES_MS);

/** Whether it is time for another key; the clock is known to be right, and behind. */
export function mayRenew(state: {
  readonly kept: UsedTime | undefined;
  readonly nowMs: number;
  /** undefined: not looked at yet. */
  readonly handshakes: Handshakes | undefined;
  readonly behindForMs: number;
  /** Since the last new key of this process, by its own count; undefined where it made none. */
  readonly sinceRenewalMs: number | undefined;
}): 'now' | 'tunnels-live' | 'not-yet' | 'too-soon' {
  const { kept, nowMs, handshakes, sinceRenewalMs } = state;
  if (handshakes === undefined) return 'not-yet';
  if (tunnelsLive(handshakes, nowMs)) return 'tunnels-live';
  // Without an interface that remembers one there is nobody who could still call.
  if (handshakes.size > 0 && state.behindForMs < STANDING_MS) return 'not-yet';
  const { renewedAtMs } = kept ?? {};
  const isSoon = renewedAtMs !== undefined && Math.abs(nowMs - renewedAtMs) < RENEW_EVERY_MS;
  return isSoon || (sinceRenewalMs ?? RENEW_EVERY_MS) < RENEW_EVERY_MS ? 'too-soon' : 'now';
}

/** Of the key that was just made. */
export const keptOfNewKey = (publicKey: string, nowMs: number, handshakes: Handshakes): UsedTime => ({
  schema: 1,
  publicKey,
  renewedAtMs: nowMs,
  before: Object.fromEntries(handshakes),
});
