/**
 * Owns which gateways are not heard: by their session's last word, or by the age of their status.
 * Does not own what a gateway last said (store), nor why it is silent: dark uplinks and no power look alike from here.
 */
import type { Clock } from '../system/ports.ts';

/** A box tells its status once a minute, changed or not (agent/reporting.ts): two that did not come, and some room. */
const STALE_MS = 150_000;

export interface Presence {
  /** The box said something. */
  heard(gatewayId: string): void;
  /** Its session ended. */
  gone(gatewayId: string): void;
  /** Since when nothing was heard of a box whose last status came then; undefined: it is there. */
  silentSince(gatewayId: string, statusReceivedAtMs: number): number | undefined;
}

export function createPresence({ clock }: { readonly clock: Clock }): Presence {
  const goneAtMs = new Map<string, number>();
  return {
    heard: (gatewayId) => void goneAtMs.delete(gatewayId),
    gone: (gatewayId) => void goneAtMs.set(gatewayId, goneAtMs.get(gatewayId) ?? clock.nowMs()),
    silentSince(gatewayId, statusReceivedAtMs) {
      const known = goneAtMs.get(gatewayId);
      if (known !== undefined) return known;
      return clock.nowMs() - statusReceivedAtMs > STALE_MS ? statusReceivedAtMs : undefined;
    },
  };
}
