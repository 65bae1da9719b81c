/**
 * Owns the form of an error for programs: what `--json` prints where a command failed, and what the agent's socket
 * answers. Does not own what can fail (errors.ts).
 */
import { z } from 'zod';
import type { BranchboxError } from './errors.ts';

export const ErrorReadout = z.strictObject({
  error: z.strictObject({
    /** One of docs/errors.md; a newer release may have more. */
    code: z.string(),
    message: z.string(),
    mend: z.string().optional(),
    problems: z.array(z.strictObject({ path: z.string(), message: z.string() })),
    fields: z.record(z.string(), z.union([z.string(), z.number(), z.boolean()])).optional(),
  }),
});
export type ErrorReadout = z.output<typeof ErrorReadout>;

/** Pure. */
export function errorReadout({ code, message, mend, problems, fields }: BranchboxError): ErrorReadout {
  return {
    error: {
      code,
      message,
      ...(mend === undefined ? {} : { mend }),
      problems: [...problems],
      fields: { ...fields },
    },
  };
}
