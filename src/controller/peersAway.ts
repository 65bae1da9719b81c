/**
 * Owns whether the processes that the controller depends on answer. They are asked when somebody wants to know, which anybody may,
 * so at most once in a while. Does not own the broker, whose connection tells by itself.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Clock } from '../system/ports.ts';

/** A peer on this machine answers in milliseconds, the manufacturer's may be across the world. */
const ANSWER_TIMEOUT_MS = 3_000;
const KEPT_MS = 2_000;

/** By the name that a sentence gives it: `the signer`. Any answer will do, a refusal too. */
export type Peers = Readonly<Record<string, () => Promise<unknown>>>;

/** A sentence for each that is away. */
export function createPeersAway(options: {
  readonly peers: Peers;
  readonly clock: Pick<Clock, 'monotonicMs' | 'sleep'>;
}): () => Promise<readonly string[]> {
  const { peers, clock } = options;
  let asked: { readonly atMs: number; readonly answer: Promise<readonly string[]> } | undefined;

  async function isAway(ask: () => Promise<unknown>): Promise<boolean> {
    const answered = new AbortController();
    const late = clock.sleep(ANSWER_TIMEOUT_MS, answered.signal).then(
      () => true,
      () => false,
    );
    const answer = ask().then(
      () => false,
      (thrown: unknown) => !(thrown instanceof BranchboxError) || thrown.code === 'controller/unreachable',
    );
    const away = await Promise.race([answer, late]);
    answered.abort();
    return away;
  }
  async function askAll(): Promise<readonly string[]> {
    const found = await Promise.all(
      Object.entries(peers).map(async ([name, ask]) => ((await isAway(ask)) ? [`${name} is away`] : [])),
    );
    return found.flat();
  }
  return () => {
    const nowMs = clock.monotonicMs();
    if (asked === undefined || nowMs - asked.atMs >= KEPT_MS) asked = { atMs: nowMs, answer: askAll() };
    return asked.answer;
  };
}
