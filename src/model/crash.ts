/**
 * Owns the record of a process that an error ended, from its last moment to the agent's status. Gone at the next boot.
 * Does not own writing it (system/linux/longLived.ts) nor what is made of it (telemetry/health.ts).
 */
import { z } from 'zod';

export const CRASHES_DIRECTORY = '/run/branchbox/crashes';
export const CRASH_RECORD_MAX_BYTES = 16 * 1024;
export const CRASH_WORDS = { error: 300, stack: 4000 } as const;

export const CrashRecord = z.strictObject({
  schema: z.literal(1),
  /** As in its log lines. */
  process: z.string().max(32),
  version: z.string().max(64),
  atMs: z.number(),
  /** Since the boot, this one included. */
  times: z.int().positive(),
  /** Its kind and its words. */
  error: z.string().max(CRASH_WORDS.error),
  stack: z.string().max(CRASH_WORDS.stack),
});
export type CrashRecord = z.output<typeof CrashRecord>;

/** `<process>.json` in the directory. */
export const crashRecordName = (process: string): string => `${process}.json`;
