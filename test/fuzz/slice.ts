/**
 * Owns running a stretch of one parser's inputs in this process. Does not own processes, hangs or the screen (campaign.ts).
 */
import { setFlagsFromString, getHeapStatistics } from 'node:v8';
import { runInNewContext } from 'node:vm';
import type { Judge } from './judge.ts';

export interface Finding {
  readonly parser: string;
  readonly seed: number;
  /** undefined: of many inputs together. */
  readonly index: number | undefined;
  readonly what: string;
  readonly inputBase64: string;
}

export interface SliceResult {
  readonly taken: number;
  /** Refusals by code; `none` where nothing was thrown. */
  readonly refused: Readonly<Record<string, number>>;
  readonly findings: readonly Finding[];
}

export interface Slice {
  readonly seed: number;
  /** The first and the one after the last. */
  readonly from: number;
  readonly to: number;
  /** A parser that fails everywhere is stopped after so many. */
  readonly maxFindings: number;
  readonly onInput?: (index: number) => void;
  readonly onFinding?: (finding: Finding) => void;
}

/** A leak of 100 bytes an input is seen in a run of the usual length, a cache that fills is not. */
const GROWTH_BYTES = 16 * 1024 * 1024;
/** Fewer inputs than this tell nothing: what is loaded and compiled on the way is larger. */
const MIN_FOR_GROWTH = 4_000;

export async function runSlice({ parser, input, judge }: Judge, slice: Slice): Promise<SliceResult> {
  const { seed, from, to } = slice;
  const refused: Record<string, number> = {};
  const findings: Finding[] = [];
  const report = (index: number | undefined, what: string, bytes: Uint8Array): void => {
    const inputBase64 = Buffer.from(bytes).toString('base64');
    const finding = { parser: parser.name, seed, index, what, inputBase64 };
    findings.push(finding);
    slice.onFinding?.(finding);
  };
  let taken = 0;
  // The first quarter fills what is compiled and cached once.
  const settledAt = from + Math.floor((to - from) / 4);
  let settledBytes: number | undefined;
  for (let index = from; index < to && findings.length < slice.maxFindings; index += 1) {
    slice.onInput?.(index);
    if (index === settledAt && to - settledAt >= MIN_FOR_GROWTH) settledBytes = heapBytes();
    const bytes = input(seed, index);
    const verdict = await judge(bytes);
    if (verdict.kind === 'taken') taken += 1;
    else if (verdict.kind === 'refused') refused[verdict.code] = (refused[verdict.code] ?? 0) + 1;
    else report(index, verdict.what, bytes);
  }
  const grownBytes = settledBytes === undefined ? 0 : heapBytes() - settledBytes;
  if (grownBytes > GROWTH_BYTES) {
    report(
      undefined,
      `memory grew by ${Math.round(grownBytes / 1024)} KiB over ${to - settledAt} inputs`,
      Buffer.of(),
    );
  }
  return { taken, refused, findings };
}

/** Of this process, after a collection: after two, as what the first frees of buffers is counted by the next alone. */
function heapBytes(): number {
  setFlagsFromString('--expose-gc');
  const collect: unknown = runInNewContext('gc');
  for (let time = 0; time < 2 && typeof collect === 'function'; time += 1) collect();
  const { used_heap_size: heap, external_memory: external } = getHeapStatistics();
  return heap + external;
}
