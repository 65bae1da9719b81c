/**
 * Owns which of several failures is told, and what is told beside it. Pure. Does not own how it is shown (renderStatus.ts,
 * notices.ts).
 */
import { BranchboxError, type Problem } from '../model/errors.ts';

/** Of several failures the one that got furthest: signed data that is wrong, then a refusal, then a portal, then silence. */
export function moreTelling(left: BranchboxError | undefined, right: BranchboxError): BranchboxError {
  const rank = ({ code }: BranchboxError): number =>
    // Of this box itself, and the same with every server.
    code === 'bootstrap/key-lost' || code === 'system/key-unusable'
      ? 4
      : code.startsWith('pki/') || code === 'model/invalid'
        ? 3
        : code === 'bootstrap/refused'
          ? 2
          : code === 'bootstrap/captive-portal'
            ? 1
            : 0;
  return left !== undefined && rank(left) > rank(right) ? left : right;
}

/** The same failure, and what else there is to know: who mends it may find it there. */
export function withProblems(failure: BranchboxError, more: readonly Problem[]): BranchboxError {
  if (more.length === 0) return failure;
  const { code, message, problems, mend, fields } = failure;
  return new BranchboxError(code, {
    message,
    problems: [...problems, ...more],
    ...(mend !== undefined && { mend }),
    fields,
    cause: failure,
  });
}
