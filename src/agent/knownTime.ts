/**
 * Owns what time it is for the agent, where that decides something: by what the identity process knows (model/knownTime).
 * Does not own finding that out, and sets no clock.
 */
import { decodeJson } from '../model/decode.ts';
import { judgedMs, KNOWN_TIME_MAX_BYTES, KnownTime } from '../model/knownTime.ts';
import type { System } from '../system/ports.ts';

export interface TimeNow {
  /** To judge dates by. */
  readonly atMs: number;
  /** What the system's clock said then; where that is known to be right, the same. */
  readonly wallMs: number;
}

/**
 * Before the identity process told anything, and where what it told cannot be read, the system's clock stands: by a wrong
 * one dates are refused, and asked about again at the next connection.
 */
export async function readTime(
  { files, clock, log }: Pick<System, 'files' | 'clock' | 'log'>,
  path: string,
): Promise<TimeNow> {
  let known: KnownTime | undefined;
  try {
    const text = await files.readText(path, KNOWN_TIME_MAX_BYTES);
    known = text === undefined ? undefined : decodeJson(KnownTime, text, path);
  } catch (thrown) {
    log.warn('what is known of the time cannot be read', { error: thrown });
  }
  const wallMs = clock.nowMs();
  const atMs = known === undefined ? wallMs : judgedMs(known, { wallMs, monotonicMs: clock.monotonicMs() });
  return { atMs, wallMs };
}
