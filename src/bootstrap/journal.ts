/**
 * Owns the journal of bootstrap: which state the box is in, durable before the state is acted on.
 * Does not own what is done in a state (states.ts, service.ts) nor the files that states leave.
 */
import { decodeJson } from '../model/decode.ts';
import {
  type BootstrapState,
  Journal as JournalSchema,
  type Journal as JournalRecord,
  type JournalEntry,
} from '../model/bootstrap.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Clock, Files, Logger } from '../system/ports.ts';

/** Below this a clock is steered, not set. */
const STEP_MS = 60_000;
/** The schema's cap; the oldest lines go first. */
const MAX_ENTRIES = 200;
const MAX_BYTES = 512 * 1024;

export interface Journal {
  current(): JournalEntry;
  /** Each with the moment at which it began by the clock as it is now, where it began in this start of the process. */
  history(): readonly JournalEntry[];
  /** Resolves when the state would survive a power cut. */
  enter(state: BootstrapState, note?: Readonly<Record<string, string>>): Promise<void>;
}

/** undefined where there is none yet; throws bootstrap/journal where it cannot be read. */
export async function readJournal(files: Files, path: string): Promise<JournalRecord | undefined> {
  const text = await files.readText(path, MAX_BYTES);
  if (text === undefined) return undefined;
  try {
    return decodeJson(JournalSchema, text, 'The bootstrap journal');
  } catch (cause) {
    throw new BranchboxError('bootstrap/journal', {
      message: `The bootstrap journal ${path} cannot be read`,
      mend: 'nothing to do: the identity process puts it aside and goes on from the files beside it',
      ...(cause instanceof BranchboxError && { problems: cause.problems }),
      cause,
    });
  }
}

/**
 * A journal that cannot be read is put aside as `journal.damaged` and begins anew at `fallback()`, which looks
 * at the files that earlier states left: a box never stops because of its diary.
 */
export async function openJournal(options: {
  readonly files: Files;
  readonly clock: Clock;
  readonly log: Logger;
  readonly path: string;
  readonly fallback: () => Promise<BootstrapState>;
}): Promise<Journal> {
  const { files, clock, log, path } = options;
  let entries: readonly JournalEntry[] = [];
  /** Monotonic times of the entries that were made in this start, which are the last ones. */
  let enteredAt: readonly number[] = [];
  try {
    entries = (await readJournal(files, path))?.entries ?? [];
  } catch (thrown) {
    // An unreadable disk sector as well as a text that is no journal.
    if (!(thrown instanceof BranchboxError)) throw thrown;
    log.error('bootstrap journal damaged, going on from the files beside it', { path });
    const damaged = await files.readBytes(path, MAX_BYTES * 4).catch(() => undefined);
    if (damaged !== undefined) {
      await files.writeDurable(`${path}.damaged`, damaged).catch((failure: unknown) => {
        if (!(failure instanceof BranchboxError)) throw failure;
        log.error('the damaged journal cannot be put aside', { problem: failure.message });
      });
    }
  }

  /** Where the clock was set meanwhile, how long ago an entry of this start was made is what still holds. */
  function byClockOfNow(): readonly JournalEntry[] {
    const startedMs = clock.nowMs() - clock.monotonicMs();
    const first = entries.length - enteredAt.length;
    return entries.map((entry, index) => {
      const monotonicMs = enteredAt[index - first];
      if (monotonicMs === undefined) return entry;
      const enteredAtMs = startedMs + monotonicMs;
      return Math.abs(enteredAtMs - entry.enteredAtMs) < STEP_MS ? entry : { ...entry, enteredAtMs };
    });
  }

  async function enter(state: BootstrapState, note: Readonly<Record<string, string>> = {}): Promise<void> {
    const entered: JournalEntry = { state, enteredAtMs: clock.nowMs(), note: { ...note } };
    const monotonicMs = clock.monotonicMs();
    const next = [...byClockOfNow(), entered].slice(-MAX_ENTRIES);
    const record: JournalRecord = { schema: 1, entries: next };
    await files.writeDurable(path, `${JSON.stringify(record, null, 1)}\n`);
    entries = next;
    enteredAt = [...enteredAt, monotonicMs].slice(-MAX_ENTRIES);
    log.info('bootstrap state entered', { state, ...note });
  }

  if (entries.length === 0) {
    const state = await options.fallback();
    try {
      await enter(state);
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      // The first state follows from the files, at the next start too. Each later one waits until it can be written.
      entries = [{ state, enteredAtMs: clock.nowMs(), note: {} }];
      enteredAt = [clock.monotonicMs()];
      log.error('the bootstrap journal cannot be begun', { state, problem: thrown.message });
    }
  }
  return {
    current() {
      const last = entries.at(-1);
      if (last === undefined) throw new BranchboxError('internal', { message: 'The journal is empty' });
      return last;
    },
    history() {
      entries = byClockOfNow();
      return entries;
    },
    enter,
  };
}
