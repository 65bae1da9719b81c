/**
 * Owns one `ip -force -batch -` (or `bridge`) for many items, and which item each complaint belongs to.
 * Does not own any line.
 */
import type { ItemId } from '../model/ids.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { Runner } from '../system/ports.ts';
import { done, failed, refused } from './outcome.ts';

/** A batch of 1,000 bridges with a VXLAN port each took 7 s on two slow cores: 20 ms a line is ample. */
const BASE_TIMEOUT_MS = 10_000;
const LINE_TIMEOUT_MS = 20;

export interface BatchTool {
  readonly command: 'ip' | 'bridge';
  readonly family?: '-4' | '-6';
}

export interface BatchOptions<I> {
  readonly runner: Pick<Runner, 'run'>;
  readonly tool: BatchTool;
  readonly items: readonly I[];
  /** Lines of one item; throwing fails that item alone. No lines: nothing to do for it. */
  readonly render: (item: I) => readonly string[];
  readonly signal: AbortSignal;
  /** Complaints that mean the line's aim is reached (deleting what is gone). */
  readonly fine?: RegExp;
}

/** Outcomes in the order of the items. */
export async function runBatch<I extends { readonly id: ItemId }>(
  options: BatchOptions<I>,
): Promise<readonly Outcome[]> {
  const { runner, tool, items, signal } = options;
  const lines: string[] = [];
  /** For each line, the index of its item. */
  const ownerOf: number[] = [];
  const unfit = new Map<number, unknown>();
  items.forEach((item, index) => {
    try {
      for (const line of options.render(item)) {
        lines.push(line);
        ownerOf.push(index);
      }
    } catch (thrown) {
      unfit.set(index, thrown);
    }
  });

  const complaints = new Map<number, string[]>();
  let endedEarly: BranchboxError | undefined;
  if (lines.length > 0) {
    const args = [...(tool.family === undefined ? [] : [tool.family]), '-force', '-batch', '-'];
    const result = await runner.run(tool.command, args, {
      stdin: `${lines.join('\n')}\n`,
      timeoutMs: BASE_TIMEOUT_MS + lines.length * LINE_TIMEOUT_MS,
      signal,
    });
    for (const complaint of parseComplaints(result.stderr)) {
      const index = ownerOf[complaint.line - 1];
      if (index === undefined || options.fine?.test(complaint.words) === true) continue;
      complaints.set(index, [...(complaints.get(index) ?? []), complaint.words]);
    }
    // 1: some lines failed, each named. Anything else: it gave up, and which lines it did is not known.
    if (result.exitCode > 1) {
      endedEarly = new BranchboxError('net/kernel', {
        message: `${tool.command} gave up inside a batch: ${result.stderr.trim().slice(-300)}`,
      });
    }
  }

  const linesOf = (index: number): string => lines.filter((_, at) => ownerOf[at] === index).join('; ');
  return items.map((item, index) => {
    if (unfit.has(index)) return failed(item.id, unfit.get(index));
    const words = complaints.get(index);
    if (words !== undefined) return refused(item.id, tool.command, words.join('; '), linesOf(index));
    if (endedEarly !== undefined) return failed(item.id, endedEarly);
    return done(item.id);
  });
}

/**
 * All lines of all items up to the first refusal, in one process: an item's later lines are never reached after its
 * first was refused, so that they may act on what that made. Returns the items that were done whole; where that is
 * not known, none.
 */
export async function runUntilRefused<I extends { readonly id: ItemId }>(
  options: Omit<BatchOptions<I>, 'fine'>,
): Promise<{ readonly done: readonly I[]; readonly refused?: Outcome }> {
  const { runner, tool, items, signal } = options;
  const lines: string[] = [];
  const fit: { readonly item: I; readonly firstLine: number }[] = [];
  for (const item of items) {
    try {
      const own = options.render(item);
      fit.push({ item, firstLine: lines.length });
      lines.push(...own);
    } catch {
      // Tried alone, each says why it fails.
    }
  }
  if (lines.length === 0) return { done: [] };
  const args = [...(tool.family === undefined ? [] : [tool.family]), '-batch', '-'];
  const result = await runner.run(tool.command, args, {
    stdin: `${lines.join('\n')}\n`,
    timeoutMs: BASE_TIMEOUT_MS + lines.length * LINE_TIMEOUT_MS,
    signal,
  });
  if (result.exitCode === 0) return { done: fit.map(({ item }) => item) };
  const [complaint] = parseComplaints(result.stderr);
  if (complaint === undefined || result.exitCode > 1) return { done: [] };
  const at = fit.findLastIndex(({ firstLine }) => firstLine < complaint.line);
  const stopped = fit[at];
  if (stopped === undefined) return { done: [] };
  const line = lines[complaint.line - 1] ?? '';
  return {
    done: fit.slice(0, at).map(({ item }) => item),
    refused: refused(stopped.item.id, tool.command, complaint.words, line),
  };
}

interface Complaint {
  readonly line: number;
  readonly words: string;
}

/** Words first, then `Command failed -:7`. Pure. */
export function parseComplaints(stderr: string): readonly Complaint[] {
  const complaints: Complaint[] = [];
  let words: string[] = [];
  for (const line of stderr.split('\n')) {
    const match = /^Command failed -:(\d+)$/.exec(line.trim());
    if (match?.[1] !== undefined) {
      complaints.push({ line: Number(match[1]), words: words.join('; ') || 'refused' });
      words = [];
    } else if (line.trim() !== '') {
      words.push(line.trim().replace(/^(Error|RTNETLINK answers): /, ''));
    }
  }
  return complaints;
}

/** What `ip` says when told to delete something that is already gone. */
export const ALREADY_GONE =
  /Cannot find device|No such (device|process|file or directory)|Address not found|Cannot assign requested address/;
