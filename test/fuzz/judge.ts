/**
 * Owns the verdict on one input: taken, refused, or a finding. Does not own a parser, nor hangs (campaign.ts).
 */
import { createHash } from 'node:crypto';
import { BranchboxError } from '../../src/model/errors.ts';
import { chanceOf } from './chance.ts';
import type { FuzzParser } from './parser.ts';

export type Verdict =
  | { readonly kind: 'taken' }
  | { readonly kind: 'refused'; readonly code: string }
  | { readonly kind: 'finding'; readonly what: string };

/**
 * Of this thread's own time on the processor, which a busy machine does not lengthen; a box may be fifty times slower.
 * The slowest good input, a chain that is judged twice, takes about 10 ms.
 */
const WORK_BUDGET_MS = 200;
const MAX_INPUT_BYTES = 1024 * 1024;
/** Larger than any answer a server may give; an error's text goes into logs and to a person. */
const MAX_ERROR_CHARS = 16 * 1024;

export interface Judge {
  readonly parser: FuzzParser;
  input(seed: number, index: number): Uint8Array;
  judge(input: Uint8Array): Promise<Verdict>;
}

/** Throws where a sample is not taken: then its mutants would prove nothing. */
export async function createJudge(parser: FuzzParser): Promise<Judge> {
  const known = new Set<string>();
  for (const [at, sample] of parser.samples.entries()) {
    const understood = await parser.parse(sample);
    if (understood === undefined) throw new Error(`sample ${at} of ${parser.name} is not taken`);
    known.add(digestOf(understood));
  }

  async function once(input: Uint8Array): Promise<{ readonly verdict: Verdict; readonly workMs: number }> {
    const before = process.threadCpuUsage();
    const verdict = await verdictOn(input);
    const { user, system } = process.threadCpuUsage(before);
    return { verdict, workMs: (user + system) / 1000 };
  }

  async function verdictOn(input: Uint8Array): Promise<Verdict> {
    const verdict = await understand(input).catch((thrown: unknown) => refusal(parser, thrown));
    const written = Object.keys(Object.prototype);
    for (const name of written) Reflect.deleteProperty(Object.prototype, name);
    if (written.length === 0) return verdict;
    return { kind: 'finding', what: `wrote ${written.join(', ')} into Object.prototype` };
  }

  async function understand(input: Uint8Array): Promise<Verdict> {
    const understood = await parser.parse(input);
    if (understood === undefined) return { kind: 'refused', code: 'none' };
    if (!parser.isSigned || known.has(digestOf(understood))) return { kind: 'taken' };
    return { kind: 'finding', what: `took what nobody signed: ${understood.slice(0, 300)}` };
  }

  return {
    parser,
    input: (seed, index) => {
      const chance = chanceOf(seed, parser.name, index);
      const mutant = parser.mutate(chance.one(parser.samples), chance, parser.samples);
      return mutant.subarray(0, parser.maxBytes ?? MAX_INPUT_BYTES);
    },
    async judge(input) {
      const { verdict, workMs } = await once(input);
      if (verdict.kind === 'finding' || workMs <= WORK_BUDGET_MS) return verdict;
      // A collection of garbage or a compilation may have fallen on it: only what is slow again is slow.
      const again = Math.min((await once(input)).workMs, (await once(input)).workMs);
      if (again <= WORK_BUDGET_MS) return verdict;
      return {
        kind: 'finding',
        what: `took ${Math.round(again)} ms of the processor, more than ${WORK_BUDGET_MS}`,
      };
    },
  };
}

function refusal(parser: FuzzParser, thrown: unknown): Verdict {
  if (!(thrown instanceof BranchboxError)) {
    const name = thrown instanceof Error ? `${thrown.name}: ${thrown.message}` : String(thrown);
    const at =
      thrown instanceof Error ? (thrown.stack?.split('\n').find((line) => line.includes('/src/')) ?? '') : '';
    return { kind: 'finding', what: `threw what is no error of ours: ${name.slice(0, 300)}${at}` };
  }
  if (!parser.refusals.some((beginning) => thrown.code.startsWith(beginning))) {
    return { kind: 'finding', what: `refused with ${thrown.code}: ${thrown.message.slice(0, 300)}` };
  }
  const chars = thrown.problems.reduce(
    (sum, { path, message }) => sum + path.length + message.length,
    thrown.message.length,
  );
  if (chars > MAX_ERROR_CHARS) {
    return {
      kind: 'finding',
      what: `refused with an error of ${chars} characters: ${thrown.message.slice(0, 200)}`,
    };
  }
  return { kind: 'refused', code: thrown.code };
}

const digestOf = (understood: string): string => createHash('sha256').update(understood).digest('base64');
