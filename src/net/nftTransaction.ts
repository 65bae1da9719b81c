/**
 * Owns changing nft by whole transactions: one for all items, and where one of them makes it fail, one for all the
 * others.
 * Does not own any command.
 */
import { asBranchboxError, BranchboxError } from '../model/errors.ts';
import type { ItemId } from '../model/ids.ts';
import type { Outcome } from '../reconcile/item.ts';
import type { Runner } from '../system/ports.ts';
import { done, failed, refused } from './outcome.ts';

/** 100,000 elements loaded in 0.5 s on two slow cores. */
const BASE_TIMEOUT_MS = 10_000;
const LINE_TIMEOUT_MS = 1;

interface Work {
  readonly id: ItemId;
  /** Commands, one line each. */
  readonly lines: readonly string[];
}

/** Outcomes in the order of the items. Throwing in `render` fails that item alone. */
export async function changeNft<I extends { readonly id: ItemId }>(
  runner: Pick<Runner, 'run'>,
  items: readonly I[],
  render: (item: I) => readonly string[],
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  const outcomes = new Map<ItemId, Outcome>();
  const work: Work[] = [];
  for (const item of items) {
    try {
      work.push({ id: item.id, lines: render(item) });
    } catch (thrown) {
      outcomes.set(item.id, failed(item.id, thrown));
    }
  }
  for (const outcome of await transact(runner, work, signal)) outcomes.set(outcome.id, outcome);
  return items.flatMap((item) => outcomes.get(item.id) ?? []);
}

async function transact(
  runner: Pick<Runner, 'run'>,
  work: readonly Work[],
  signal: AbortSignal,
): Promise<readonly Outcome[]> {
  if (work.length === 0) return [];
  const lines = work.flatMap((one) => one.lines);
  const result = await runner.run('nft', ['-f', '-'], {
    stdin: `${lines.join('\n')}\n`,
    timeoutMs: BASE_TIMEOUT_MS + lines.length * LINE_TIMEOUT_MS,
    signal,
  });
  if (result.exitCode === 0) return work.map((one) => done(one.id));

  const complaints = complaintsByItem(work, result.stderr);
  if (complaints.size > 0) {
    const good = work.filter((one) => !complaints.has(one.id));
    const bad = work
      .filter((one) => complaints.has(one.id))
      .map((one) => refused(one.id, 'nft', complaints.get(one.id) ?? '', one.lines.join('; ')));
    return [...bad, ...(await transact(runner, good, signal))];
  }
  // nft named no line: halving finds out which.
  const [only] = work;
  if (work.length === 1 && only !== undefined) {
    return [refused(only.id, 'nft', result.stderr, only.lines.join('; '))];
  }
  const middle = Math.ceil(work.length / 2);
  return [
    ...(await transact(runner, work.slice(0, middle), signal)),
    ...(await transact(runner, work.slice(middle), signal)),
  ];
}

function complaintsByItem(work: readonly Work[], stderr: string): ReadonlyMap<ItemId, string> {
  const ownerOf = work.flatMap((one) => one.lines.map(() => one.id));
  const complaints = new Map<ItemId, string>();
  for (const { line, words } of parseNftComplaints(stderr)) {
    const id = ownerOf[line - 1];
    if (id !== undefined && !complaints.has(id)) complaints.set(id, words);
  }
  return complaints;
}

/** `/dev/stdin:4:35-35: Error: syntax error, unexpected newline`. Pure. */
export function parseNftComplaints(
  stderr: string,
): readonly { readonly line: number; readonly words: string }[] {
  return [...stderr.matchAll(/^[^\s:]+:(\d+):\d+(?:-\d+)?: Error: (.*)$/gm)].map((match) => ({
    line: Number(match[1]),
    words: match[2] ?? '',
  }));
}

/** An effect after those that succeeded (noting them); its own failure is theirs. */
export async function afterwards(
  outcomes: readonly Outcome[],
  effect: (succeeded: ReadonlySet<ItemId>) => Promise<void>,
): Promise<readonly Outcome[]> {
  const succeeded = new Set(outcomes.filter((outcome) => outcome.ok).map((outcome) => outcome.id));
  if (succeeded.size === 0) return outcomes;
  try {
    await effect(succeeded);
    return outcomes;
  } catch (thrown) {
    const cause = asBranchboxError(thrown);
    const error = new BranchboxError(cause.code, {
      message: `applied, but not noted: ${cause.message}`,
      cause,
    });
    return outcomes.map((outcome) => (outcome.ok ? { id: outcome.id, ok: false, error } : outcome));
  }
}
