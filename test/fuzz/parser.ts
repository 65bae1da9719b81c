/**
 * Owns what a parser of outside input is to the fuzzer. Does not own any.
 */
import type { Mutate } from './mutateBytes.ts';

export interface FuzzParser {
  readonly name: string;
  /** What it stands for: exported functions of src as `file#name`, scripts as `firmware/name`. */
  readonly covers: readonly string[];
  /** Of all inputs, in parts; a cheap parser is given more, one that costs processes less than a part. */
  readonly share: number;
  /** Each must be taken. */
  readonly samples: readonly Uint8Array[];
  readonly mutate: Mutate;
  /** What whoever calls it lets through (an answer's cap, say); default 1 MiB. Longer mutants are cut. */
  readonly maxBytes?: number;
  /** Beginnings of the codes it may refuse with. */
  readonly refusals: readonly string[];
  /**
   * undefined: refused without an error. Else what was understood: where something is signed, what was signed and by
   * whom, so that two that are the same read the same; else anything.
   */
  readonly parse: (input: Uint8Array) => string | undefined | Promise<string | undefined>;
  /** A mutant may only be taken for what one of the samples is taken for. */
  readonly isSigned: boolean;
}
