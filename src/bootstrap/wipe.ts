/**
 * Owns whether a factory reset is under way, by the mark that firmware/factory-reset makes before it does anything and takes
 * away last; and WIPE, in which this process keeps its hands off what is erased meanwhile.
 * Does not own erasing. The mark decides, not the journal: that is erased too.
 */
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';
import type { Waker } from '../system/waker.ts';
import type { Action, Next } from './machine.ts';

/** Polled: nothing else tells that the mark was taken away. */
const LOOK_AGAIN_MS = 2_000;
const MAX_MARK_BYTES = 4096;

export interface ResetMark {
  /** Who asked: button, console, controller. */
  readonly by: string;
  /** undefined where a person wrote the mark. */
  readonly sinceMs: number | undefined;
}

/** As the script writes it; whatever else is in the file marks a reset too. Pure. */
export function parseResetMark(text: string): ResetMark {
  const [by = '', seconds = ''] = text.trim().split(/\s+/);
  return {
    by: /^[a-z0-9-]{1,32}$/.test(by) ? by : 'somebody',
    sinceMs: /^\d{1,11}$/.test(seconds) ? Number(seconds) * 1000 : undefined,
  };
}

export async function readResetMark(
  files: Pick<Files, 'readBytes'>,
  marks: readonly string[],
): Promise<ResetMark | undefined> {
  for (const path of marks) {
    try {
      const bytes = await files.readBytes(path, MAX_MARK_BYTES);
      if (bytes !== undefined) return parseResetMark(Buffer.from(bytes).toString('latin1'));
    } catch (thrown) {
      // Too long, or not to be read: there it is, and that is what counts.
      if (!(thrown instanceof BranchboxError)) throw thrown;
      return parseResetMark('');
    }
  }
  return undefined;
}

/** As this process sees the mark. */
export interface ResetMarks {
  /** The one that stands now. */
  read(): Promise<ResetMark | undefined>;
  /** Whether one was read before: what this process holds in memory may then be of data that was erased since. */
  wasSeen(): boolean;
}

export function createResetMarks(files: Pick<Files, 'readBytes'>, marks: readonly string[]): ResetMarks {
  let wasSeen = false;
  return {
    async read() {
      const found = await readResetMark(files, marks);
      wasSeen ||= found !== undefined;
      return found;
    },
    wasSeen: () => wasSeen,
  };
}

export const wipeFor = ({ by }: ResetMark): Next => ({ state: 'WIPE', note: { by } });

export function createWipe(parts: {
  readonly marks: ResetMarks;
  /** Where a box is that is not reset after all. */
  readonly stateByFiles: () => Promise<Next['state']>;
  /** Ends this process, which is started again. */
  readonly restart: () => void;
  readonly waker: Waker;
}): Action {
  const { marks, waker } = parts;
  return async (signal) => {
    if ((await marks.read()) === undefined && !marks.wasSeen()) {
      return { state: await parts.stateByFiles(), note: { because: 'the mark of the reset was taken away' } };
    }
    while ((await marks.read()) !== undefined) await waker.wait(LOOK_AGAIN_MS, signal);
    parts.restart();
    for (;;) await waker.wait(LOOK_AGAIN_MS, signal);
  };
}
