/**
 * Owns decoding what an engine answered. Does not own what the fields mean.
 */
import type { z } from 'zod';
import { BranchboxError } from '../model/errors.ts';

export function decodeJson<T>(schema: z.ZodType<T>, text: string): T {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch (cause) {
    throw new BranchboxError('engine/refused', { message: 'the container engine answered no JSON', cause });
  }
  const parsed = schema.safeParse(value);
  if (parsed.success) return parsed.data;
  throw new BranchboxError('engine/refused', {
    message: 'the container engine answered in a form this version does not know',
    problems: parsed.error.issues.map((issue) => ({
      path: ['$', ...issue.path].join('.'),
      message: issue.message,
    })),
  });
}
