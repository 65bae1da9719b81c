/**
 * Owns how a process of the box logs: one JSON object a line on standard error, for the journal to keep.
 * Does not own where it is kept, nor which level a message has.
 */
import { BranchboxError } from '../../model/errors.ts';
import type { LogFields, Logger } from '../ports.ts';

const LEVELS = ['debug', 'info', 'warn', 'error'] as const;
type Level = (typeof LEVELS)[number];
/** The longest value of a field: what comes from outside must not fill a log. */
const MAX_FIELD_CHARACTERS = 4000;

export interface LoggerOptions {
  readonly name: string;
  readonly level?: Level;
  readonly write?: (line: string) => void;
}

export function createLogger(options: LoggerOptions): Logger {
  const lowest = LEVELS.indexOf(options.level ?? 'info');
  const write = options.write ?? ((line: string) => void process.stderr.write(line));
  const at =
    (level: Level) =>
    (message: string, fields?: LogFields): void => {
      if (LEVELS.indexOf(level) < lowest) return;
      const record: Record<string, unknown> = {
        time: new Date().toISOString(),
        level,
        name: options.name,
        message,
      };
      for (const [key, value] of Object.entries(fields ?? {})) record[key] = printable(value);
      write(`${JSON.stringify(record)}\n`);
    };
  return { debug: at('debug'), info: at('info'), warn: at('warn'), error: at('error') };
}

/** Secrets print as redacted by their own toJSON; errors get code, sentence and problems. */
function printable(value: unknown): unknown {
  if (value instanceof BranchboxError) {
    return { code: value.code, message: value.message, problems: value.problems };
  }
  if (value instanceof Error) return { message: value.message, stack: value.stack };
  if (typeof value === 'string' && value.length > MAX_FIELD_CHARACTERS) {
    return `${value.slice(0, MAX_FIELD_CHARACTERS)}…`;
  }
  if (typeof value === 'bigint') return value.toString();
  return value;
}
