/**
 * Owns reading JSON dumps of `ip`, `bridge` and `nft`: checked against a schema, and one process for callers at
 * the same time. Nothing is kept: a dump is forgotten as soon as it was handed out.
 */
import type { z } from 'zod';
import { tryDecode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Runner } from '../system/ports.ts';

/** `ip -j -d link` prints about 2 kB a link; 64 MiB holds more links than a box can have. */
export const MAX_OUTPUT_BYTES = 64 * 1024 * 1024;
export const TIMEOUT_MS = 30_000;

export async function readDump<S extends z.ZodType>(
  runner: Pick<Runner, 'runChecked'>,
  command: string,
  args: readonly string[],
  schema: S,
  signal: AbortSignal,
): Promise<z.output<S>> {
  const text = await runner.runChecked(command, args, {
    signal,
    timeoutMs: TIMEOUT_MS,
    maxOutputBytes: MAX_OUTPUT_BYTES,
  });
  return parseDump(text, schema, [command, ...args].join(' '));
}

/** Some dumps print nothing at all where there is nothing. Pure. */
export function parseDump<S extends z.ZodType>(text: string, schema: S, what: string): z.output<S> {
  return checkDump(parseJson(text, what), schema, what);
}

export function parseJson(text: string, what: string): unknown {
  try {
    return JSON.parse(text === '' || text.trim() === '' ? '[]' : text);
  } catch (cause) {
    throw new BranchboxError('net/kernel', { message: `${what} printed no JSON`, cause });
  }
}

/** Pure. */
export function checkDump<S extends z.ZodType>(value: unknown, schema: S, what: string): z.output<S> {
  const decoded = tryDecode(schema, value);
  if (decoded.ok) return decoded.value;
  throw new BranchboxError('net/kernel', {
    message: `${what} printed what is not understood`,
    problems: decoded.problems,
  });
}

/**
 * Callers of one turn of the event loop (the drivers of one observation) get one read. Not those that come later, or
 * after it ended: another lane may have changed the box since it began.
 */
export function shareRead<T>(read: (signal: AbortSignal) => Promise<T>): (signal: AbortSignal) => Promise<T> {
  let shared: { readonly result: Promise<T>; readonly signal: AbortSignal } | undefined;
  return (signal) => {
    if (shared !== undefined && !shared.signal.aborted) return shared.result;
    const started = { signal, result: read(signal).finally(() => forget()) };
    const forget = (): void => {
      if (shared === started) shared = undefined;
    };
    setImmediate(forget);
    shared = started;
    return started.result;
  };
}
