/**
 * Owns the mark on disk that the owner does not trust this box, which the agent follows. Does not own the verdict
 * (standing.ts) nor what a mark stops (the agent's plan).
 */
import { Quarantine } from '../model/bootstrap.ts';
import { decodeJson } from '../model/decode.ts';
import { BranchboxError } from '../model/errors.ts';
import type { Files } from '../system/ports.ts';

const MAX_MARK_BYTES = 16 * 1024;

export interface QuarantineMark {
  /** A mark that cannot be read stands all the same: it was meant once. */
  isSet(): Promise<boolean>;
  /** Keeps the time of the first. */
  set(why: string, nowMs: number): Promise<void>;
  clear(): Promise<void>;
}

export function createQuarantineMark(files: Files, path: string): QuarantineMark {
  async function read(): Promise<Quarantine | 'unreadable' | undefined> {
    try {
      const text = await files.readText(path, MAX_MARK_BYTES);
      return text === undefined ? undefined : decodeJson(Quarantine, text, path);
    } catch (thrown) {
      if (thrown instanceof BranchboxError) return 'unreadable';
      throw thrown;
    }
  }
  return {
    isSet: async () => (await read()) !== undefined,
    async set(why, nowMs) {
      const before = await read();
      if (typeof before === 'object' && before.why === why) return;
      const sinceMs = typeof before === 'object' ? before.sinceMs : nowMs;
      const mark: Quarantine = { schema: 1, sinceMs, why: why.slice(0, 1000) };
      await files.writeDurable(path, `${JSON.stringify(mark)}\n`, 0o644);
    },
    clear: () => files.remove(path),
  };
}
