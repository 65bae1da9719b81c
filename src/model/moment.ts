/**
 * Owns what is told to people of a moment: whether it is known at all, and in how many words.
 * Does not own what time it is (knownTime).
 */

/** Older than any box. */
const FIRST_BOX_MS = Date.UTC(2024, 0, 1);
/** false: the box's clock was not set when it wrote that down, and nobody knows when it was. Pure. */
export const isKnownMoment = (atMs: number): boolean => atMs >= FIRST_BOX_MS;

/** `2026-06-01T00:00Z`: to the minute, for what lasts days. Pure. */
export const minuteOf = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, 16)}Z`;
