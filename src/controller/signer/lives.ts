/**
 * Owns how long the domain's CAs live, and how far back what they sign begins.
 */
export const DAY_MS = 86_400_000;
/** Boxes whose clock is a little behind must not find a fresh certificate in their future. */
export const BACKDATE_MS = 3_600_000;
/** Pinned by vouchers: it lives as long as the hardware. Rolled over with overlap, not by expiry. */
export const CA_LIFE_MS = 30 * 365 * DAY_MS;
