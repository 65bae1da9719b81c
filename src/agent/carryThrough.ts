/**
 * Owns one trial from its first change to its verdict: the box settles, the controller answers, and the box is still
 * settled then.
 * Does not own what the verdict does (desiredState.ts) nor how long a trial has (reconcile/trial).
 */
import { asBranchboxError, type Problem } from '../model/errors.ts';

export interface TrialSteps {
  /**
   * Makes the box hold to this, and nothing else from now on. Resolves when the network does, rejects with what
   * speaks against it where that is for good; goes on trying until the signal aborts.
   */
  readonly settle: (signal: AbortSignal) => Promise<void>;
  /** Why the box does not hold the present state. */
  readonly problems: () => readonly Problem[];
  /** Called when what is held to changes: lanes start over. */
  readonly onChange: () => void;
  /** Resolves when the controller answered over a connection opened after this call. */
  readonly prove: (signal: AbortSignal) => Promise<void>;
}

/** undefined where the state holds and the controller answered; else why not, for a person. */
export async function carryThrough(
  parts: TrialSteps,
  durationMs: number,
  stop: AbortSignal,
): Promise<string | undefined> {
  const timeUp = AbortSignal.timeout(durationMs);
  const signal = AbortSignal.any([stop, timeUp]);
  let proving = false;
  try {
    parts.onChange();
    await parts.settle(signal);
    proving = true;
    await parts.prove(signal);
    // Something may have broken while the controller was asked.
    await parts.settle(signal);
    return undefined;
  } catch (thrown) {
    const problems = parts.problems();
    if (problems.length > 0) {
      const named = problems.slice(0, 5).map(({ path, message }) => `${path}: ${message}`);
      return `the box did not become as described: ${named.join('; ')}`;
    }
    if (proving) return `the controller did not answer within ${durationMs / 1000} s after the change`;
    return asBranchboxError(thrown).message;
  }
}
