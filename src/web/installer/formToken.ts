/**
 * Owns the token in the form: it proves that whoever sends a code read this page, from this address, within the last
 * hour. The key lives as long as the process.
 */
import { createHmac, timingSafeEqual } from 'node:crypto';

const VALID_MS = 3_600_000;

export interface FormTokens {
  make(remoteAddress: string): string;
  holds(token: string, remoteAddress: string): boolean;
}

export function createFormTokens(options: {
  /** At least 32 random bytes. */
  readonly key: Uint8Array;
  /** Never goes back: the wall clock of a box that is not enrolled may jump. */
  readonly monotonicMs: () => number;
}): FormTokens {
  const sign = (madeAtMs: string, remoteAddress: string): Buffer =>
    createHmac('sha256', options.key).update(`${madeAtMs} ${remoteAddress}`).digest();
  return {
    make(remoteAddress) {
      const madeAtMs = String(Math.floor(options.monotonicMs()));
      return `${madeAtMs}.${sign(madeAtMs, remoteAddress).toString('base64url')}`;
    },
    holds(token, remoteAddress) {
      const [, madeAtMs, mac] = /^(\d{1,16})\.([A-Za-z0-9_-]{43})$/.exec(token) ?? [];
      if (madeAtMs === undefined || mac === undefined) return false;
      if (!timingSafeEqual(Buffer.from(mac, 'base64url'), sign(madeAtMs, remoteAddress))) return false;
      const ageMs = options.monotonicMs() - Number(madeAtMs);
      return ageMs >= 0 && ageMs < VALID_MS;
    },
  };
}
