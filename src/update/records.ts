/**
 * Owns what an update remembers on disk, over restarts and over versions: how far it has come, the trial, and how
 * earlier ones ended. Each write is durable. A record that cannot be read is as good as none.
 */
import { z } from 'zod';
import { decodeJson, tryDecode } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import { FIRMWARE_RESULTS } from '../model/firmware.ts';
import type { Files, Logger } from '../system/ports.ts';
import { Progress } from './plan.ts';
import type { ProgressStore } from './ports.ts';
import { ROLL_BACK_CAUSES, TrialRecord } from './trial.ts';

/** As all here, a record that another version wrote with a field more is still a record. */
export const Ending = z.object({
  digest: z.string(),
  version: z.string(),
  result: z.enum(FIRMWARE_RESULTS),
  cause: z.enum(ROLL_BACK_CAUSES).optional().catch(undefined),
  sentence: z.string().max(2000),
  atMs: z.number(),
});
export type Ending = z.output<typeof Ending>;

/** Far more than a box is told of in a year. An earlier version reads no file with more. */
const MAX_ENDINGS = 32;
/** Of them: a refusal needs no signature, so that whoever has sticks could have all else forgotten. */
const MAX_REFUSALS = 8;
/** Oldest first. Each is judged by itself: one that is not understood takes none with it. */
const History = z.object({ schema: z.literal(1), endings: z.array(z.unknown()) });

/** The newest of each kind, oldest first. */
function newestOf(endings: readonly Ending[]): readonly Ending[] {
  const refusals = endings.filter(({ result }) => result === 'refused').slice(-MAX_REFUSALS);
  const others = endings.filter(({ result }) => result !== 'refused').slice(-(MAX_ENDINGS - MAX_REFUSALS));
  const kept = new Set([...refusals, ...others]);
  return endings.filter((ending) => kept.has(ending));
}

/** How a version was taken back, where nothing made it good since: what was refused meanwhile does not. */
export const takenBack = (history: readonly Ending[], digest: string): Ending | undefined => {
  const last = history.findLast((ending) => ending.digest === digest && ending.result !== 'refused');
  return last?.result === 'rolled-back' ? last : undefined;
};

export interface UpdateRecords {
  readonly progress: ProgressStore;
  readTrial(): Promise<TrialRecord | undefined>;
  writeTrial(trial: TrialRecord): Promise<void>;
  /** A trial that is not to be: nothing is kept of it. */
  dropTrial(): Promise<void>;
  /** What the deadline without an agent wrote (firmware/trial-deadline). */
  readEnded(): Promise<string | undefined>;
  /** The trial is over: its record goes, and how it ended is kept. */
  end(ending: Ending): Promise<void>;
  history(): Promise<readonly Ending[]>;
}

export function createUpdateRecords(files: Files, directory: string, log: Logger): UpdateRecords {
  const at = (name: string): string => `${directory}/${name}`;
  const read = async <S extends z.ZodType>(name: string, schema: S): Promise<z.output<S> | undefined> => {
    try {
      const text = await files.readText(at(name));
      return text === undefined ? undefined : decodeJson(schema, text, at(name));
    } catch (thrown) {
      if (!(thrown instanceof BranchboxError)) throw thrown;
      log.error('a record of firmware cannot be read', { path: at(name), error: thrown });
      return undefined;
    }
  };
  const write = (name: string, value: unknown): Promise<void> =>
    files.writeDurable(at(name), JSON.stringify(value));
  const history = async (): Promise<readonly Ending[]> =>
    newestOf(
      ((await read('history.json', History))?.endings ?? []).flatMap((ending) => {
        const decoded = tryDecode(Ending, ending);
        return decoded.ok ? [decoded.value] : [];
      }),
    );
  const keep = (endings: readonly Ending[]): Promise<void> =>
    write('history.json', { schema: 1, endings: newestOf(endings) });
  return {
    progress: {
      read: () => read('progress.json', Progress),
      write: (progress) => write('progress.json', progress),
    },
    readTrial: () => read('trial.json', TrialRecord),
    writeTrial: (trial) => write('trial.json', trial),
    dropTrial: () => files.remove(at('trial.json')),
    async readEnded() {
      const text = await files.readText(at('trial-ended'), 4096).catch(() => undefined);
      return text?.trim().slice(0, 400);
    },
    async end(ending) {
      await keep([...(await history()), ending]);
      // Nothing of a kept version is believed later: if its slot goes bad, it is fetched anew.
      if (ending.result === 'committed') await files.remove(at('progress.json'));
      // Last: cut in between, a restart finds the trial and ends it once more.
      await files.remove(at('trial-ended'));
      await files.remove(at('trial.json'));
    },
    history,
  };
}
