/**
 * Owns how long this start of the box took until all that is wanted was up. The next version's time is measured by it:
 * what is slow here (an old processor, many apps, a modem that registers late) is slow for that one too.
 */
import type { Files } from '../system/ports.ts';
import type { Vitals } from './trial.ts';

export interface StartTime {
  /** Each look at the box; the first at which all is up counts. */
  note(vitals: Vitals): Promise<void>;
  /** Since the machine started; undefined: that moment has not been yet. */
  upAfterMs(): Promise<number | undefined>;
}

/** `path`: gone at the next boot, and still there for an agent that is started again. */
export function createStartTime(options: {
  readonly files: Pick<Files, 'readText' | 'writeDurable'>;
  readonly path: string;
  readonly uptimeMs: () => Promise<number>;
}): StartTime {
  const { files, path } = options;
  let known: number | undefined;
  const upAfterMs = async (): Promise<number | undefined> => {
    const text = known === undefined ? await files.readText(path) : undefined;
    if (text !== undefined && /^[0-9]{1,12}$/.test(text)) known = Number(text);
    return known;
  };
  return {
    upAfterMs,
    async note({ desired, controller, ...kinds }) {
      if (known !== undefined || !desired || !controller) return;
      if (Object.values(kinds).some((states) => [...states.values()].includes(false))) return;
      if ((await upAfterMs()) !== undefined) return;
      known = Math.round(await options.uptimeMs());
      await files.writeDurable(path, String(known));
    },
  };
}
