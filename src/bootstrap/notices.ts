/**
 * Owns what did not stop the box, and whoever stands before it should know: sentences by subject, the last ones of each, for this
 * start of the process. Does not own what stops it (machine.ts lastProblem).
 */
import { NOTICES_MAX, NOTICE_MAX_LENGTH } from '../model/bootstrap.ts';

/**
 * `named`: what was named as a server and is none. `passed`: lines and servers that led nowhere. `trust`: whether the owner trusts
 * the box. `revocations`: the owner's list. `media`: plugged in, and not read. `line`: that a medium described.
 */
export type NoticeSubject = 'named' | 'passed' | 'trust' | 'revocations' | 'media' | 'line';

export interface Notices {
  /** In place of those before; none where all is well. */
  set(subject: NoticeSubject, sentences: readonly string[]): void;
  all(): readonly string[];
}

export function createNotices(): Notices {
  const known = new Map<NoticeSubject, readonly string[]>();
  return {
    set(subject, sentences) {
      known.set(
        subject,
        sentences.slice(0, NOTICES_MAX).map((sentence) => sentence.slice(0, NOTICE_MAX_LENGTH)),
      );
    },
    all: () => [...known.values()].flat().slice(0, NOTICES_MAX),
  };
}
