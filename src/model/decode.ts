/**
 * Owns the one way an unknown value becomes a typed one: all problems at once, each named by its path.
 * Does not own any schema.
 */
import type { z } from 'zod';
import { BranchboxError, type ErrorCode, type Problem } from './errors.ts';

const MAX_PROBLEMS = 100;
/** Names in a document are whoever's who wrote it, and problems go into logs, answers and to people. */
const MAX_NAME = 64;
const MAX_PATH = 128;
const MAX_MESSAGE = 300;

/** `$.uplinks[1].slot`, as a person would look it up; of what is too long for that, beginning and end. */
export function renderPath(path: readonly PropertyKey[]): string {
  let text = '$';
  for (const part of path)
    text += typeof part === 'number' ? `[${part}]` : `.${shortened(String(part), MAX_NAME)}`;
  return shortened(text, MAX_PATH);
}

function shortened(text: string, max: number): string {
  const half = Math.floor(max / 2);
  return text.length <= max ? text : `${text.slice(0, half - 1)}…${text.slice(-half)}`;
}

/** An unknown key is a problem at that key, not at the object that holds it. */
function problemsOf(issue: z.core.$ZodIssue): readonly Problem[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: renderPath([...issue.path, key]),
      message: 'no such field is known',
    }));
  }
  return [{ path: renderPath(issue.path), message: shortened(issue.message, MAX_MESSAGE) }];
}

export type Decoded<T> =
  | { readonly ok: true; readonly value: T }
  | { readonly ok: false; readonly problems: readonly Problem[] };

/** Decodes without throwing. Unrecognised keys are problems too where the schema is strict. */
export function tryDecode<S extends z.ZodType>(schema: S, input: unknown): Decoded<z.output<S>> {
  const result = schema.safeParse(input);
  if (result.success) return { ok: true, value: result.data };
  const { issues } = result.error;
  const all = [...issues, ...hiddenByFractions(schema, input, issues)];
  return { ok: false, problems: all.flatMap(problemsOf).slice(0, MAX_PROBLEMS) };
}

/**
 * What rules over the document say (crossCheck) where a fraction stands for a whole number somewhere: zod asks no rule
 * then. Of any other wrong type it does, so there null takes the fraction's place.
 */
function hiddenByFractions(
  schema: z.ZodType,
  input: unknown,
  issues: readonly z.core.$ZodIssue[],
): readonly z.core.$ZodIssue[] {
  const fractions = issues.filter((issue) => issue.code === 'invalid_type' && issue.expected === 'int');
  if (fractions.length === 0) return [];
  const copy: unknown = JSON.parse(JSON.stringify(input));
  for (const { path } of fractions) {
    const holder = holderOf(copy, path);
    const key = path.at(-1);
    if (holder !== undefined && key !== undefined) Reflect.set(holder, key, null);
  }
  const said = new Set(issues.filter(isOfRule).map((issue) => renderPath(issue.path) + issue.message));
  const again = schema.safeParse(copy).error?.issues ?? [];
  return again.filter(isOfRule).filter((issue) => !said.has(renderPath(issue.path) + issue.message));
}

const isOfRule = ({ code }: z.core.$ZodIssue): boolean => code === 'custom';

/** What holds the last part of a path. */
const holderOf = (document: unknown, path: readonly PropertyKey[]): Record<string, unknown> | undefined => {
  const holder = path
    .slice(0, -1)
    .reduce<unknown>((at, part) => (isRecord(at) ? at[String(part)] : undefined), document);
  return isRecord(holder) ? holder : undefined;
};

/** Decodes or throws `code` (default `model/invalid`) with every problem. `what` names the input for a person. */
export function decode<S extends z.ZodType>(
  schema: S,
  input: unknown,
  what: string,
  code: ErrorCode = 'model/invalid',
): z.output<S> {
  const decoded = tryDecode(schema, input);
  if (decoded.ok) return decoded.value;
  throw new BranchboxError(code, {
    message: `${what} has ${decoded.problems.length} problem${decoded.problems.length === 1 ? '' : 's'}`,
    problems: decoded.problems,
  });
}

/**
 * A copy of JSON without the fields that a strict schema does not know. For what a newer release may have written to an
 * older one: what is known is still held against the schema whole.
 */
export function withoutUnknown(schema: z.ZodType, input: unknown): unknown {
  const result = schema.safeParse(input);
  const unknown = (result.error?.issues ?? []).flatMap((issue) =>
    issue.code === 'unrecognized_keys' ? [issue] : [],
  );
  if (unknown.length === 0) return input;
  const copy: unknown = JSON.parse(JSON.stringify(input));
  for (const { path, keys } of unknown) {
    const holder = holderOf(copy, [...path, ...keys.slice(0, 1)]);
    if (holder !== undefined) for (const key of keys) Reflect.deleteProperty(holder, key);
  }
  return copy;
}

const isRecord = (value: unknown): value is Record<string, unknown> =>
  typeof value === 'object' && value !== null;

/** As decode, from JSON text of at most `maxBytes` UTF-16 units. */
export function decodeJson<S extends z.ZodType>(
  schema: S,
  text: string,
  what: string,
  maxBytes = 4 * 1024 * 1024,
  code: ErrorCode = 'model/invalid',
): z.output<S> {
  return decode(schema, parseJson(text, what, maxBytes, code), what, code);
}

/** As decodeJson, of a writer that may be newer than this reader: what it says beyond the schema is passed over. */
export function decodeNewerJson<S extends z.ZodType>(
  schema: S,
  text: string,
  what: string,
  maxBytes: number,
): z.output<S> {
  return decode(schema, withoutUnknown(schema, parseJson(text, what, maxBytes, 'model/invalid')), what);
}

/** undefined where it is no JSON: for what a schema judges next, and what may be cut off or somebody else's. */
export function tryJson(text: string): unknown {
  try {
    return JSON.parse(text) as unknown;
  } catch {
    return undefined;
  }
}

/** Far deeper than any schema here: what copies or prints a document by recursion must not run out of stack. */
const MAX_DEPTH = 64;

function parseJson(text: string, what: string, maxBytes: number, code: ErrorCode): unknown {
  if (text.length > maxBytes) {
    throw new BranchboxError(code, { message: `${what} is larger than ${maxBytes} bytes` });
  }
  if (isDeeper(text, MAX_DEPTH)) {
    throw new BranchboxError(code, { message: `${what} is nested deeper than ${MAX_DEPTH} levels` });
  }
  try {
    // RFC 8259 8.1: a mark before UTF-8, as some editors and libraries write it, may be passed over.
    return JSON.parse(text.replace(/^\uFEFF/, '')) as unknown;
  } catch (cause) {
    throw new BranchboxError(code, { message: `${what} is not JSON`, cause });
  }
}

/** Whether objects and lists, outside strings, are nested deeper; the text need not be JSON. */
function isDeeper(text: string, max: number): boolean {
  let depth = 0;
  let isInString = false;
  for (let at = 0; at < text.length; at += 1) {
    const character = text[at];
    if (isInString) {
      // What stands behind a backslash ends no string.
      if (character === '\\') at += 1;
      else if (character === '"') isInString = false;
    } else if (character === '"') isInString = true;
    else if (character === '{' || character === '[') depth += 1;
    else if (character === '}' || character === ']') depth -= 1;
    if (depth > max) return true;
  }
  return false;
}
